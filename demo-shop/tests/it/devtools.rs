//! A headless Chromium, driven over its DevTools protocol.
//!
//! The protocol goes through a pipe (`--remote-debugging-pipe`: JSON texts that end in NUL), so there is no port to
//! agree on, no WebSocket, and no dependency for one. Chromium is looked for on the PATH; where it is not, tests are
//! skipped with a word, unless `DEMO_SHOP_REQUIRE_CHROMIUM` says that they must not be.

use crate::wait::{PATIENCE, until};
use base64::prelude::*;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, PipeWriter, Write, pipe};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A running browser with a profile of its own. It is killed, and the profile removed, when this is dropped.
pub(crate) struct Browser {
    process: Child,
    profile: PathBuf,
    commands: PipeWriter,
    messages: mpsc::UnboundedReceiver<Value>,
    last_id: u64,
}

/// One page.
pub(crate) struct Page {
    browser: Browser,
    session: String,
}

/// What it may be called.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Closes the pipe's ends as Chromium wants them: commands on 3, messages on 4.
const PIPES: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";

// === impl Browser ===

impl Browser {
    /// Starts one; none where there is no Chromium.
    pub(crate) fn start() -> Option<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let Some(chromium) = find() else {
            assert!(
                std::env::var_os("DEMO_SHOP_REQUIRE_CHROMIUM").is_none(),
                "DEMO_SHOP_REQUIRE_CHROMIUM is set, and none of {NAMES:?} is on the PATH"
            );
            eprintln!("skipped: none of {NAMES:?} is on the PATH");
            return None;
        };
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let profile = std::env::temp_dir().join(format!("demo-shop-browser-{}-{number}", std::process::id()));
        let ((commands_read, commands), (messages, messages_write)) = (pipe().unwrap(), pipe().unwrap());
        let process = Command::new("sh")
            .args(["-c", PIPES])
            .arg(chromium)
            .args(["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu"])
            // In a container there is often neither room in /dev/shm nor the right to make a sandbox; the pages that
            // are opened here are our own.
            .args(["--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--disable-extensions"])
            .args(["--disable-background-networking", "--force-color-profile=srgb"])
            // Otherwise what is clicked and typed before a page's first frame is dropped without a word, and a page
            // that is not in front runs slowly.
            .args(["--allow-pre-commit-input", "--disable-renderer-backgrounding", "--disable-hang-monitor"])
            .args(["--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(commands_read)
            .stdout(messages_write)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        thread::spawn(move || {
            let texts = BufReader::new(messages).split(0);
            for text in texts.map_while(Result::ok) {
                let message = serde_json::from_slice(&text).expect("the protocol is JSON");
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Some(Self { process, profile, commands, messages: received, last_id: 0 })
    }

    /// Opens a page of that many pixels.
    pub(crate) async fn page(mut self, width: u32, height: u32) -> Page {
        let target = self.call(None, "Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call(None, "Target.attachToTarget", attach).await;
        let session = attached["sessionId"].as_str().unwrap().to_owned();
        let mut page = Page { browser: self, session };
        for domain in ["Page", "Runtime", "Network"] {
            page.call(&format!("{domain}.enable"), json!({})).await;
        }
        // As if its window were in front, so that it has the focus.
        page.call("Emulation.setFocusEmulationEnabled", json!({"enabled": true})).await;
        page.resize(width, height).await;
        page
    }

    async fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        result(method, self.ask(session, method, params).await)
    }

    /// The answer to a command, which may be an error.
    async fn ask(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        let id = self.tell(session, method, params);
        self.answer(id, method).await
    }

    /// Sends a command and does not wait for its answer, which goes by that number.
    fn tell(&mut self, session: Option<&str>, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let mut command = json!({"id": self.last_id, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let mut text = command.to_string().into_bytes();
        text.push(0);
        self.commands.write_all(&text).unwrap();
        self.last_id
    }

    /// The answer to a command; those to earlier ones are dropped on the way.
    async fn answer(&mut self, id: u64, method: &str) -> Value {
        loop {
            let message = timeout(PATIENCE, self.messages.recv()).await;
            let message =
                message.unwrap_or_else(|_| panic!("no answer to {method}")).expect("the browser runs");
            if message["id"] == id {
                return message;
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already. Its children end with it, because their pipes do.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

/// What a command came to.
fn result(method: &str, answer: Value) -> Value {
    assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
    answer["result"].clone()
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let directories: Vec<_> = std::env::split_paths(&path).collect();
    NAMES
        .iter()
        .flat_map(|name| directories.iter().map(move |dir| dir.join(name)))
        .find(|path| path.is_file())
}

// === impl Page ===

impl Page {
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.browser.call(Some(&self.session), method, params).await
    }

    /// Goes to an address and waits until the page is there.
    pub(crate) async fn go(&mut self, url: &str) {
        let gone = self.call("Page.navigate", json!({"url": url})).await;
        assert!(gone["errorText"].is_null(), "{url}: {gone}");
        until("the page that was asked for", async || {
            (self.loader().await == gone["loaderId"]).then_some(())
        })
        .await;
        self.until("document.readyState === 'complete'").await;
    }

    /// Loads the page anew and waits until it is there.
    pub(crate) async fn reload(&mut self) {
        let before = self.loader().await;
        self.call("Page.reload", json!({})).await;
        until("another page", async || (self.loader().await != before).then_some(())).await;
        self.until("document.readyState === 'complete'").await;
    }

    /// Names the document that is shown.
    async fn loader(&mut self) -> Value {
        self.call("Page.getFrameTree", json!({})).await["frameTree"]["frame"]["loaderId"].clone()
    }

    /// What an expression is worth in the page. It works without script as well.
    pub(crate) async fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.call("Runtime.evaluate", params).await;
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Asks until an expression is true. A page that is on its way to another has no answer for a while.
    pub(crate) async fn until(&mut self, expression: &str) {
        let params = json!({"expression": format!("Boolean({expression})"), "returnByValue": true});
        until(expression, async || {
            let answer = self.browser.ask(Some(&self.session), "Runtime.evaluate", params.clone()).await;
            (answer["result"]["result"]["value"] == true).then_some(())
        })
        .await;
    }

    /// The text of the first element that a selector finds.
    pub(crate) async fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({})?.innerText", json!(selector))).await;
        text.as_str().unwrap_or_else(|| panic!("there is no {selector}")).to_owned()
    }

    /// Clicks, so many times in a row and without a pause, on the middle of the first element that a selector finds.
    pub(crate) async fn click(&mut self, selector: &str, times: u32) {
        let place = format!(
            "(() => {{ const it = document.querySelector({}); it.scrollIntoView({{block: 'center'}}); \
             const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()",
            json!(selector)
        );
        let place = self.eval(&place).await;
        let method = "Input.dispatchMouseEvent";
        let mut last = 0;
        for count in 1..=times {
            for kind in ["mousePressed", "mouseReleased"] {
                let params = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": count});
                last = self.browser.tell(Some(&self.session), method, params);
            }
        }
        result(method, self.browser.answer(last, method).await);
    }

    /// Presses a key: `Tab`, `Enter`, or a digit.
    pub(crate) async fn press(&mut self, key: &str) {
        let (code, number, text) = match key {
            "Tab" => ("Tab".to_owned(), 9, String::new()),
            "Enter" => ("Enter".to_owned(), 13, "\r".to_owned()),
            digit => (format!("Digit{digit}"), u32::from(digit.as_bytes()[0]), digit.to_owned()),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut params = json!({"type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number});
            if kind == "keyDown" && !text.is_empty() {
                params["text"] = text.clone().into();
            }
            self.call("Input.dispatchKeyEvent", params).await;
        }
    }

    pub(crate) async fn resize(&mut self, width: u32, height: u32) {
        let params = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", params).await;
    }

    /// What the visitor prefers, as `("prefers-color-scheme", "dark")`.
    pub(crate) async fn prefer(&mut self, features: &[(&str, &str)]) {
        let features: Vec<_> =
            features.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        self.call("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    pub(crate) async fn without_script(&mut self) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    }

    /// The page's whole height as a PNG.
    pub(crate) async fn screenshot(&mut self) -> Vec<u8> {
        let params = json!({"format": "png", "captureBeyondViewport": true});
        let shot = self.call("Page.captureScreenshot", params).await;
        BASE64_STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }
}
