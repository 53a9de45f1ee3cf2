//! The HTML, and the JSON of the same facts. Nothing is loaded from elsewhere; the script only refreshes numbers.

use crate::depth::Reading;
use serde_json::{Value, json};
use std::fmt::{self, Display};

/// What the home page shows.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) notice: Option<Notice>,
    pub(super) store: bool,
    pub(super) worker: bool,
    pub(super) hostname: String,
    pub(super) queue: String,
    pub(super) broker: String,
    pub(super) complaints: Vec<String>,
    pub(super) depth: Option<Reading>,
    pub(super) submitted: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) busy: bool,
}

/// Why what the visitor asked for was not done.
#[derive(Clone, Debug)]
pub(super) struct Notice(pub(super) String);

/// What the panel calls a number: its key for the script, its text, and what it means.
struct Tile {
    key: &'static str,
    label: &'static str,
    meaning: &'static str,
    value: String,
}

/// A text that is safe between tags and in quoted attributes.
struct Escaped<'a>(&'a str);

const HOME: &str = include_str!("assets/home.html");
const STORE: &str = include_str!("assets/store.html");
const MESSAGE: &str = include_str!("assets/message.html");

/// An embedded file's content type and bytes.
pub(super) fn asset(path: &str) -> Option<(&'static str, &'static [u8])> {
    match path {
        "/assets/shop.css" => Some(("text/css; charset=utf-8", include_bytes!("assets/shop.css"))),
        "/assets/shop.js" => Some(("text/javascript; charset=utf-8", include_bytes!("assets/shop.js"))),
        "/assets/icon.svg" => Some(("image/svg+xml", include_bytes!("assets/icon.svg"))),
        _ => None,
    }
}

/// Store and admin panel.
pub(super) fn home(view: &View) -> String {
    let notice = view.notice.as_ref().map(|Notice(text)| {
        format!("<p class=\"notice\" id=\"notice\" role=\"alert\">{}</p>", Escaped(text))
    });
    let described_by = if notice.is_some() { "notice hint" } else { "hint" };
    let notice = notice.unwrap_or_default();
    let store = match view.store {
        true => fill(STORE, &[("notice", &notice), ("described-by", described_by)]),
        false => notice,
    };
    let tiles = |tiles: Vec<Tile>| tiles.iter().map(Tile::to_html).collect::<String>();
    let parts = match (view.store, view.worker) {
        (true, true) => "store and worker",
        (true, false) => "store",
        (false, true) => "worker",
        (false, false) => "queue",
    };
    fill(
        HOME,
        &[
            ("store", &store),
            ("layout", if view.store { "shop" } else { "shop alone" }),
            // Without a store the panel is what the page is about.
            ("title", if view.store { "h2" } else { "h1" }),
            ("subtitle", if view.store { "h3" } else { "h2" }),
            ("state", if view.complaints.is_empty() { "up" } else { "down" }),
            ("connection", &Escaped(&view.connection()).to_string()),
            ("queue-tiles", &tiles(view.queue_tiles())),
            ("own-tiles", &tiles(view.own_tiles())),
            ("hostname", &Escaped(&view.hostname).to_string()),
            ("queue", &Escaped(&view.queue).to_string()),
            ("broker", &Escaped(&view.broker).to_string()),
            ("parts", parts),
        ],
    )
}

/// Thank you.
pub(super) fn confirmation(order: &str, quantity: u32) -> String {
    let noun = if quantity == 1 { "widget" } else { "widgets" };
    let text = format!(
        "{} {noun} will be made, one at a time. Your order is <code>{}</code>.",
        thousands(quantity.into()),
        Escaped(order)
    );
    fill(MESSAGE, &[("title", "Thank you"), ("text", &text), ("class", "thanks")])
}

/// Nothing here.
pub(super) fn not_found() -> String {
    let text = "There is no such page in this shop.";
    fill(MESSAGE, &[("title", "Not found"), ("text", text), ("class", "lost")])
}

// === impl View ===

impl View {
    /// The same facts for programs.
    pub(super) fn to_json(&self) -> Value {
        let details = self.depth.and_then(|depth| depth.details);
        json!({
            "instance": self.hostname,
            "parts": {"store": self.store, "worker": self.worker},
            "broker": {"address": self.broker, "ready": self.complaints.is_empty(), "complaints": self.complaints},
            "queue": {
                "name": self.queue,
                "messages": self.depth.map(|depth| depth.messages),
                "capped": self.depth.is_some_and(|depth| depth.capped),
                "in_flight": details.map(|details| details.in_flight),
                "workers": details.map(|details| details.consumers),
                "completed": details.map(|details| details.dequeued),
            },
            "own": {
                "submitted": self.submitted,
                "completed": self.completed,
                "failed": self.failed,
                "busy": self.busy,
            },
            "shown": self.shown(),
        })
    }

    /// The texts that the script puts in place of the older ones, by key.
    fn shown(&self) -> Value {
        let tiles = self.queue_tiles().into_iter().chain(self.own_tiles());
        let tiles = tiles.map(|tile| (tile.key.to_owned(), tile.value.into()));
        let connection = ("connection".to_owned(), self.connection().into());
        Value::Object(tiles.chain([connection]).collect())
    }

    fn connection(&self) -> String {
        match self.complaints.as_slice() {
            [] => "Connected".into(),
            complaints => format!("Not ready — {}", complaints.join("; ")),
        }
    }

    fn queue_tiles(&self) -> Vec<Tile> {
        let details = self.depth.and_then(|depth| depth.details);
        let messages = self
            .depth
            .map(|depth| format!("{}{}", thousands(depth.messages), if depth.capped { "+" } else { "" }));
        let detail = |number: fn(crate::depth::Details) -> u64| shown(details.map(number));
        vec![
            Tile {
                key: "messages",
                label: "Pending",
                meaning: "Orders that are not done yet. The autoscaler looks at this number.",
                value: messages.unwrap_or_else(|| shown(None)),
            },
            Tile {
                key: "in-flight",
                label: "In hand",
                meaning: "Orders that a worker is busy with right now.",
                value: detail(|details| details.in_flight),
            },
            Tile {
                key: "workers",
                label: "Workers",
                meaning: "Workers that are connected to the queue.",
                value: detail(|details| details.consumers),
            },
            Tile {
                key: "dequeued",
                label: "Done",
                meaning: "Orders done by all workers since the broker started.",
                value: detail(|details| details.dequeued),
            },
        ]
    }

    fn own_tiles(&self) -> Vec<Tile> {
        let number = |key, label, meaning, value| Tile { key, label, meaning, value: thousands(value) };
        let mut tiles = Vec::new();
        if self.store {
            tiles.push(number("submitted", "Sold", "Orders that this instance took.", self.submitted));
        }
        if self.worker {
            tiles.push(number("completed", "Made", "Orders that this instance worked off.", self.completed));
            let meaning = "Orders that this instance took in hand and could not finish; others got them.";
            tiles.push(number("failed", "Failed", meaning, self.failed));
            let state = if self.busy { "Busy" } else { "Idle" };
            let meaning = "What this instance's worker does right now.";
            tiles.push(Tile { key: "busy", label: "Worker", meaning, value: state.into() });
        }
        tiles
    }
}

// === impl Tile ===

impl Tile {
    fn to_html(&self) -> String {
        format!(
            "<div class=\"tile\" title=\"{}\"><dt>{}</dt><dd data-shown=\"{}\">{}</dd></div>",
            Escaped(self.meaning),
            Escaped(self.label),
            self.key,
            Escaped(&self.value),
        )
    }
}

// === impl Escaped ===

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other => write!(f, "{other}"),
        })
    }
}

/// Puts values in place of each `{{name}}`. Values are not looked at again, so a visitor's text cannot name a place.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (place, after) = after.split_once("}}").unwrap_or((after, ""));
        let value = values.iter().find(|(name, _)| *name == place).map(|(_, value)| *value);
        page.push_str(before);
        page.push_str(value.unwrap_or_default());
        rest = after;
    }
    page.push_str(rest);
    page
}

fn shown(number: Option<u64>) -> String {
    number.map_or_else(|| "unknown".into(), thousands)
}

/// A number with a comma between groups of three digits.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn places_are_filled_once() {
        let check = |template: &str, expected: &str| {
            assert_eq!(fill(template, &[("a", "{{b}}"), ("b", "x")]), expected, "{template}");
        };
        check("", "");
        check("<{{a}}|{{b}}|{{c}}>", "<{{b}}|x|>");
        check("{{nope", "");
        check("{ {b} }}", "{ {b} }}");
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(Escaped("<a b=\"c\" d='e'>&").to_string(), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
    }
}
