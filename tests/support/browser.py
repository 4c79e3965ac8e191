"""A headless Chromium, driven by the keyboard alone. It is kept for who wants
one next: whoever uses this module calls end_all() in the end.

Uses Debian's chromium, chromium-driver and python3-selenium.
"""
import json
import re
import shutil
import tempfile
import time

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from mailnode import PATIENCE, SRCDIR

# axe-core, which checks pages for WCAG
AXE = (SRCDIR / "tests/support/vendor/axe.min.js").read_text()
FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage",
         "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--lang=en-US")
SIZE = 1280, 900

# what the page can't do to itself is told of here
OBSERVE = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) =>
    window.violations.push(e.violatedDirective + " " + e.blockedURI));
"""


# that nobody uses: by their flags and settings. To start one costs seconds of processor time.
_idle = {}


def _start(flags, prefs):
    profile = tempfile.mkdtemp(prefix="recall-chromium-")
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, *flags, "--user-data-dir=" + profile):
        options.add_argument(flag)
    options.add_experimental_option(
        "prefs", {"intl.accept_languages": "en-US", **dict(prefs)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.binary_location = "/usr/bin/chromium"
    service = webdriver.ChromeService("/usr/bin/chromedriver") \
        if hasattr(webdriver, "ChromeService") else None
    if service is None:
        from selenium.webdriver.chrome.service import Service
        service = Service("/usr/bin/chromedriver")
    driver = webdriver.Chrome(service=service, options=options)
    driver.profile = profile
    return driver


def _end(driver):
    driver.quit()
    shutil.rmtree(driver.profile, ignore_errors=True)


def end_all():
    """Ends those that nobody uses."""
    for drivers in _idle.values():
        while drivers:
            _end(drivers.pop())


class Browser:
    """One that knows nothing of those before. prefs: settings of the profile, as
    pairs."""

    def __init__(self, url, flags=(), prefs=()):
        self.url = url
        self.kind = tuple(flags), tuple(prefs)
        idle = _idle.setdefault(self.kind, [])
        self.driver = idle.pop() if idle else _start(*self.kind)
        self.driver.set_window_size(*SIZE)
        for command, arguments in (
                ("Network.clearBrowserCookies", {}),
                ("Network.clearBrowserCache", {}),
                ("Storage.clearDataForOrigin",
                 {"origin": url, "storageTypes": "all"}),
                ("Browser.setDownloadBehavior", {"behavior": "default"}),
                ("Page.addScriptToEvaluateOnNewDocument",
                 {"source": OBSERVE})):
            self.driver.execute_cdp_cmd(command, arguments)
        self.driver.get_log("browser")
        self.console = []

    def _new_tab(self):
        """Instead of those there are: what was set for a page, and what it does,
        lasts as long as its tab."""
        old = self.driver.window_handles
        self.driver.switch_to.new_window("tab")
        new = self.driver.current_window_handle
        for handle in old:
            self.driver.switch_to.window(handle)
            self.driver.close()
        self.driver.switch_to.window(new)

    def close(self):
        try:
            self._new_tab()
        except WebDriverException:
            _end(self.driver)
        else:
            _idle[self.kind].append(self.driver)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()

    def open(self, page=""):
        self.driver.get(self.url + "/console/" + page)

    def wait(self, condition, what):
        """What the condition returns once that is true."""
        deadline = time.monotonic() + PATIENCE
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise TimeoutError("%s: %s" % (what, self.text()))
            time.sleep(0.05)

    def text(self):
        return self.driver.execute_script("return document.body.innerText")

    def wait_text(self, text):
        """A number at its start or end is one, not the part of another."""
        pattern = re.escape(text)
        if text[0].isdigit():
            pattern = r"(?<!\d)" + pattern
        if text[-1].isdigit():
            pattern += r"(?!\d)"
        self.wait(lambda: re.search(pattern, self.text()), "no %r" % text)

    def wait_heading(self, text):
        # read at once: the page may be changing
        self.wait(lambda: text in self.driver.execute_script(
            "return [...document.querySelectorAll('h1')]"
            ".map((h) => h.innerText)"), "no heading %r" % text)

    def find(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    @property
    def focused(self):
        return self.driver.switch_to.active_element

    def press(self, *keys):
        for key in keys:
            self.focused.send_keys(key)

    def tab(self):
        # in two short messages: what send_keys() does takes many
        for kind in "rawKeyDown", "keyUp":
            self.driver.execute_cdp_cmd("Input.dispatchKeyEvent", {
                "type": kind, "key": "Tab", "code": "Tab",
                "windowsVirtualKeyCode": 9})

    def tab_to(self, is_it, what):
        """Tabs through the page until the focus is on it, as a person does.
        is_it: an expression of JavaScript over the element e, and what."""
        for _ in range(200):
            if self.driver.execute_script(
                    "const e = document.activeElement, what = arguments[0];"
                    "return " + is_it, what):
                return self.focused
            self.tab()
        raise AssertionError("not reached by keyboard: %s: %s" % (
            what, self.text()))

    def tab_to_id(self, field):
        return self.tab_to("e.id === what", field)

    def fill(self, field, text):
        """Types into the control with this id."""
        element = self.tab_to_id(field)
        element.send_keys(Keys.CONTROL, "a")
        element.send_keys(Keys.DELETE)
        element.send_keys(text)

    def check(self, field):
        self.tab_to_id(field)
        self.press(Keys.SPACE)

    def push(self, label):
        """Goes to the button or link of this label, and presses it."""
        element = self.tab_to(
            "['BUTTON', 'A', 'SUMMARY'].includes(e.tagName) &&"
            " e.innerText.trim().split('\\n')[0] === what", label)
        self.press(Keys.SPACE if element.tag_name == "button" else Keys.ENTER)

    def choose(self, field, text):
        self.tab_to_id(field).send_keys(text)

    def sign_in(self, login, password):
        self.fill("login", login)
        self.fill("password", password)
        self.press(Keys.ENTER)

    def table(self, number=0):
        """The table's rows as texts of their cells."""
        return self.driver.execute_script(
            "const table = document.querySelectorAll('table')[arguments[0]];"
            "return table ? [...table.querySelectorAll('tbody tr')].map("
            "(row) => [...row.children].map((cell) => cell.innerText)) : [];",
            number)

    def axe(self, source):
        """What axe-core finds wrong on the page, as texts."""
        # a script of ours would be stopped by the page's policy
        self.driver.execute_cdp_cmd("Runtime.evaluate", {
            "expression": source})
        answer = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run().then((r) => done(JSON.stringify(r.violations.map("
            "(v) => [v.id, v.help, v.nodes.map((n) => n.html)]))));")
        return json.loads(answer)

    def complaints(self):
        """What the browser's console says, and violations of the policy."""
        self.console += [entry["message"] for entry in
                         self.driver.get_log("browser")]
        return self.console + self.driver.execute_script(
            "return window.violations")

    def screenshot(self, path):
        self.driver.save_screenshot(str(path))
