//! The HTML. Nothing is loaded from elsewhere; scripts make pages livelier, and no page needs them.

use super::chart::Chart;
use super::markup::{Escaped, fill, widgets};
use super::once::Token;
use super::view::{Tile, View};

/// Why what the visitor asked for was not done.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) text: String,
    /// What was typed, so that it can be mended.
    pub(super) typed: Option<String>,
}

/// Where a page stands in the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Store,
    Admin,
    Elsewhere,
}

const PAGE: &str = include_str!("assets/page.html");
const STORE: &str = include_str!("assets/store.html");
const ADMIN: &str = include_str!("assets/admin.html");
const CONFIRMATION: &str = include_str!("assets/confirmation.html");
const MESSAGE: &str = include_str!("assets/message.html");

/// For browsers without script: the page loads itself anew.
const REFRESH: &str = "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n";

// === impl Notice ===

impl Notice {
    /// A few words.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), typed: None }
    }
}

/// An embedded file's content type and bytes.
pub(super) fn asset(path: &str) -> Option<(&'static str, &'static [u8])> {
    match path {
        "/assets/shop.css" => Some(("text/css; charset=utf-8", include_bytes!("assets/shop.css"))),
        "/assets/shop.js" => Some(("text/javascript; charset=utf-8", include_bytes!("assets/shop.js"))),
        "/assets/icon.svg" => Some(("image/svg+xml", include_bytes!("assets/icon.svg"))),
        _ => None,
    }
}

/// Where people buy. `away` while the store cannot reach the queue.
pub(super) fn store(token: &Token, notice: Option<&Notice>, away: bool) -> String {
    let said = notice.map(|notice| Escaped(&notice.text).to_string());
    let said = said.or_else(|| {
        let text = "We cannot reach our order queue right now. Please come back in a moment.";
        away.then(|| text.to_owned())
    });
    let notice_html = said.map(|text| format!("<p class=\"notice\" id=\"notice\" role=\"alert\">{text}</p>"));
    let typed = notice.and_then(|notice| notice.typed.as_deref());
    let body = fill(
        STORE,
        &[
            ("notice", notice_html.as_deref().unwrap_or_default()),
            ("token", token.as_str()),
            ("typed", &Escaped(typed.unwrap_or_default()).to_string()),
            ("invalid", if typed.is_some() { " aria-invalid=\"true\"" } else { "" }),
            ("described-by", if notice.is_some() { "notice hint" } else { "hint" }),
        ],
    );
    page("The Widget Shop", Place::Store, true, "", &body)
}

/// What goes on behind the counter. With `refresh` it loads itself anew where there is no script.
pub(super) fn admin(view: &View, chart: &Chart, refresh: bool) -> String {
    let tiles = |tiles: &[Tile]| tiles.iter().map(tile).collect::<String>();
    let own = view.own_tiles();
    let [top, middle, bottom] = &chart.scale;
    let (refresh_to, refresh_text) = match refresh {
        true => ("/admin?refresh=off", "Stop loading the numbers anew every 5 seconds"),
        false => ("/admin", "Load the numbers anew every 5 seconds"),
    };
    let body = fill(
        ADMIN,
        &[
            ("state", if view.connected() { "up" } else { "down" }),
            ("connection", &Escaped(&view.connection()).to_string()),
            ("shop-tiles", &tiles(&view.shop_tiles())),
            ("own-tiles", &tiles(&own)),
            ("lines", &chart.lines),
            ("top", top),
            ("middle", middle),
            ("bottom", bottom),
            ("summary", &chart.summary),
            ("rows", &chart.rows),
            ("hostname", &Escaped(&view.hostname).to_string()),
            ("parts", view.parts()),
            ("queue", &Escaped(&view.queue).to_string()),
            ("broker", &Escaped(&view.broker).to_string()),
            ("refresh-to", refresh_to),
            ("refresh-text", refresh_text),
        ],
    );
    page("Behind the counter", Place::Admin, view.store, if refresh { REFRESH } else { "" }, &body)
}

/// Thank you. `again` when the order was placed before, and not a second time.
pub(super) fn confirmation(order: &str, quantity: u32, again: bool) -> String {
    let again = match again {
        true => "<p class=\"once\">You sent this form twice. It was ordered once.</p>",
        false => "",
    };
    let body = fill(
        CONFIRMATION,
        &[
            ("quantity", &widgets(quantity.into())),
            ("order", &Escaped(order).to_string()),
            ("bars", &bars(order)),
            ("again", again),
        ],
    );
    page("Thank you", Place::Elsewhere, true, "", &body)
}

/// A few words, and the way back.
pub(super) fn message(title: &str, text: &str) -> String {
    let body = fill(MESSAGE, &[("title", &Escaped(title).to_string()), ("text", &Escaped(text).to_string())]);
    page(title, Place::Elsewhere, true, "", &body)
}

fn page(title: &str, place: Place, store: bool, head: &str, body: &str) -> String {
    let link = |to: &str, text: &str, here: bool| {
        let current = if here { " aria-current=\"page\"" } else { "" };
        format!("<a href=\"{to}\"{current}>{text}</a>")
    };
    let store = if store { link("/", "Store", place == Place::Store) } else { String::new() };
    let navigation = store + &link("/admin", "Behind the counter", place == Place::Admin);
    let title = match place {
        Place::Store => title.to_owned(),
        Place::Admin | Place::Elsewhere => format!("{title} · The Widget Shop"),
    };
    fill(
        PAGE,
        &[
            ("title", &Escaped(&title).to_string()),
            ("head", head),
            ("navigation", &navigation),
            ("body", body),
        ],
    )
}

fn tile(tile: &Tile) -> String {
    format!(
        "<div class=\"tile {key}\"><dt>{}</dt><dd data-text=\"{key}\">{}</dd><dd class=\"meaning\">{}</dd></div>\n",
        Escaped(tile.label),
        Escaped(&tile.text),
        Escaped(tile.meaning),
        key = tile.key,
    )
}

/// The order's name as the bars on a parcel: for the eye, in no code that a scanner knows. Each character sets the
/// width of a bar and of the gap behind it.
fn bars(order: &str) -> String {
    let mut path = String::new();
    let mut x = 0;
    for byte in order.bytes() {
        let (bar, gap) = (1 + u32::from(byte % 3), 1 + u32::from(byte / 3 % 3));
        path.push_str(&format!("M{x} 0h{bar}v40h-{bar}z"));
        x += bar + gap;
    }
    format!(
        "<svg class=\"bars\" viewBox=\"0 0 {x} 40\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\"><path d=\"{path}\"/></svg>"
    )
}

#[cfg(test)]
mod tests;
