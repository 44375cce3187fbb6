//! A real browser, driven by the WebDriver protocol: JSON over HTTP, spoken to `chromedriver`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use events::json::{self, Object};
use events::{Json, Json::Null};
use tempfile::TempDir;

use crate::program::text;

/// A browser without a window and with a fresh profile. It can reach nothing but 127.0.0.1.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: TempDir,
}

const ARGUMENTS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en-US",
    "--force-prefers-reduced-motion",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/// Longest wait for anything: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

impl Browser {
    pub fn open() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let (driver, port) = start(profile.path());
        let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let options = Object::new().with("args", arguments);
        let logs = Object::new().with("browser", "ALL").with("performance", "ALL");
        let wanted = Object::new().with("goog:chromeOptions", options).with("goog:loggingPrefs", logs);
        let body = Object::new().with("capabilities", Object::new().with("alwaysMatch", wanted));
        // From here on it is dropped, whatever happens.
        let mut browser = Self { driver, port, session: String::new(), _profile: profile };
        let answer = browser.send("POST", "/session", body);
        browser.session = text(&answer, "sessionId").to_owned();
        browser
    }

    pub fn go(&self, url: &str) {
        self.command("url", Object::new().with("url", url));
    }

    /// Runs the body of a function, and gives what it returns.
    pub fn script(&self, body: &str) -> Json {
        self.command("execute/sync", Object::new().with("script", body).with("args", Json::Array(Vec::new())))
    }

    /// The text of what `expression` is.
    pub fn text(&self, expression: &str) -> String {
        let value = self.script(&format!("return {expression}"));
        value.as_str().unwrap_or_else(|| panic!("{expression} is {value}")).to_owned()
    }

    /// Waits until `expression` is true.
    pub fn wait(&self, expression: &str) {
        let asked = Instant::now();
        while self.script(&format!("return Boolean({expression})")) != Json::Bool(true) {
            assert!(asked.elapsed() < PATIENCE, "still not: {expression}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn element(&self, selector: &str) -> String {
        let found =
            self.command("element", Object::new().with("using", "css selector").with("value", selector));
        let id = found.as_object().and_then(|found| found.iter().next()).and_then(|(_, id)| id.as_str());
        format!("element/{}", id.unwrap_or_else(|| panic!("{selector}: {found}")))
    }

    /// As with the mouse: fails if something covers it.
    pub fn click(&self, selector: &str) {
        self.command(&format!("{}/click", self.element(selector)), Object::new());
    }

    /// As with the keyboard, in place of what stood there.
    pub fn fill(&self, selector: &str, value: &str) {
        let element = self.element(selector);
        self.command(&format!("{element}/clear"), Object::new());
        self.command(&format!("{element}/value"), Object::new().with("text", value));
    }

    /// Presses keys where the focus is.
    pub fn press(&self, keys: &str) {
        let key = |kind: &str, key: char| Object::new().with("type", kind).with("value", key.to_string());
        let strokes: Vec<Object> = keys.chars().flat_map(|c| [key("keyDown", c), key("keyUp", c)]).collect();
        let source = Object::new().with("type", "key").with("id", "keys").with("actions", strokes);
        self.command("actions", Object::new().with("actions", vec![source]));
    }

    /// What the console said, as far as it warns or complains.
    pub fn complaints(&self) -> Vec<String> {
        let level = |entry: &&Json| ["WARNING", "SEVERE"].contains(&text(entry, "level"));
        self.log("browser").iter().filter(level).map(ToString::to_string).collect()
    }

    /// Everything that was asked of any host, by URL; the browser's own pages come from no host.
    pub fn requests(&self) -> Vec<String> {
        let url = |entry: &Json| {
            let message = json::parse(text(entry, "message").as_bytes()).unwrap();
            let message = message.get("message")?.clone();
            (message.get("method")?.as_str() == Some("Network.requestWillBeSent"))
                .then(|| text(&message, "params.request.url").to_owned())
        };
        let from_a_host = |url: &String| ["http", "ws"].iter().any(|scheme| url.starts_with(scheme));
        self.log("performance").iter().filter_map(url).filter(from_a_host).collect()
    }

    fn log(&self, kind: &str) -> Vec<Json> {
        self.command("se/log", Object::new().with("type", kind)).as_array().unwrap().to_vec()
    }

    /// A window of this width, and the reader's preference.
    pub fn look(&self, width: u32, scheme: &str) {
        let metrics = Object::new()
            .with("width", width)
            .with("height", 900)
            .with("deviceScaleFactor", 1)
            .with("mobile", width < 600);
        self.devtools("Emulation.setDeviceMetricsOverride", metrics);
        let feature = Object::new().with("name", "prefers-color-scheme").with("value", scheme);
        self.devtools("Emulation.setEmulatedMedia", Object::new().with("features", vec![feature]));
    }

    /// The whole page as PNG.
    pub fn picture(&self, path: &Path) {
        self.script("scrollTo(0, 0)");
        let options = Object::new().with("captureBeyondViewport", true).with("format", "png");
        let height = self.script("return document.documentElement.scrollHeight");
        let width = self.script("return document.documentElement.clientWidth");
        let clip = Object::new().with("x", 0).with("y", 0).with("scale", 1);
        let clip = clip.with("width", width).with("height", height);
        let answer = self.devtools("Page.captureScreenshot", options.with("clip", clip));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, base64(text(&answer, "data"))).unwrap();
    }

    fn devtools(&self, command: &str, params: Object) -> Json {
        self.command("goog/cdp/execute", Object::new().with("cmd", command).with("params", params))
    }

    fn command(&self, path: &str, body: Object) -> Json {
        self.send("POST", &format!("/session/{}/{path}", self.session), body)
    }

    fn send(&self, method: &str, path: &str, body: Object) -> Json {
        let (status, answer) = exchange(self.port, method, path, &body.to_string()).unwrap();
        let answer = json::parse(&answer).unwrap();
        let value = answer.get("value").unwrap_or(&Null).clone();
        assert_eq!(status, 200, "{path} {body}: {value}");
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = exchange(self.port, "DELETE", &format!("/session/{}", self.session), "");
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Starts chromedriver, which starts Chromium.
fn start(home: &Path) -> (Child, u16) {
    let driver = std::env::var("CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".to_owned());
    let mut child = Command::new(&driver)
        .arg("--port=0")
        .env("HOME", home)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{driver}: {error}; `scripts/setup browser` installs the browser of these tests")
        });
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port = |line: String| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok();
    let port = lines.filter_map(port).next();
    let Some(port) = port else { panic!("{driver} does not start: {:?}", child.wait()) };
    (child, port)
}

/// One HTTP exchange. The driver keeps connections open, so the length counts.
fn exchange(port: u16, method: &str, path: &str, body: &str) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE * 2))?;
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let head = head.to_ascii_lowercase();
    let number = |text: Option<&str>| text.and_then(|text| text.split_whitespace().next()?.parse().ok());
    let status: u64 = number(head.split_once(' ').map(|(_, rest)| rest)).unwrap();
    let length: u64 = number(head.split_once("content-length:").map(|(_, rest)| rest)).unwrap();
    let mut answer = Vec::new();
    stream.take(length).read_to_end(&mut answer)?;
    Ok((u16::try_from(status).unwrap(), answer))
}

/// RFC 4648 §4.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |byte: &u8| DIGITS.iter().position(|digit| digit == byte);
    let digits: Vec<usize> = text.as_bytes().iter().filter_map(digit).collect();
    let bytes = |chunk: &[usize]| {
        let bits = chunk.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - chunk.len()));
        [16, 8, 0].map(|shift| u8::try_from(bits >> shift & 255).unwrap()).into_iter().take(chunk.len() - 1)
    };
    digits.chunks(4).flat_map(bytes).collect()
}
