//! The pages in a real browser: with script and without, with the mouse and with the keyboard, on a wide screen and on
//! one of 320 pixels.

use crate::devtools::{Browser, Page};
use crate::process::Shop;
use crate::proxy::Proxy;
use crate::wait::until;
use serde_json::json;
use std::time::Duration;

/// A store without a worker, so that what is ordered stays in the queue.
async fn quiet_shop() -> Shop {
    let shop = Shop::start(&[("WORKER_ENABLED", "false")]);
    shop.until_ready().await;
    shop
}

/// The address of a page.
fn at(shop: &Shop, path: &str) -> String {
    format!("http://{}{path}", shop.http)
}

async fn until_confirmed(page: &mut Page) {
    page.until("location.pathname === '/confirmation' && document.readyState === 'complete'").await;
    assert_eq!(page.text("h1").await, "Thank you");
}

#[tokio::test]
async fn a_visitor_buys_and_watches_the_panel_change() {
    let Some(browser) = Browser::start() else { return };
    let shop = quiet_shop().await;
    let mut page = browser.page(1200, 800).await;
    page.go(&at(&shop, "/")).await;
    page.click("button[value='10']", 2).await;
    until_confirmed(&mut page).await;
    assert!(page.text(".lead").await.starts_with("10 widgets"), "{}", page.text(".lead").await);
    let order = page.text(".order code").await;
    // Reloading the confirmation buys nothing.
    page.reload().await;
    until_confirmed(&mut page).await;
    assert_eq!((page.text(".order code").await, shop.sold()), (order, 10));
    shop.until_metric("messages", Some(10)).await;

    page.click("a[href='/admin'].button", 1).await;
    page.until("location.pathname === '/admin' && document.readyState === 'complete'").await;
    page.until("document.querySelector('[data-text=pending]').innerText === '10'").await;
    page.eval("window.mark = 'the same page'").await;
    assert_eq!(shop.submit("quantity=1234").status, 200);
    page.until("document.querySelector('[data-text=pending]').innerText === '1,244'").await;
    page.until("document.querySelector('#chart-summary').innerText.startsWith('Pending: 1,244 now')").await;
    page.until("document.querySelectorAll('.plot .line.pending').length > 0").await;
    assert_eq!(page.eval("window.mark").await, "the same page");
}

#[tokio::test]
async fn the_panel_says_when_the_instance_is_gone_and_that_the_queue_is_away() {
    let Some(browser) = Browser::start() else { return };
    let mut queue = Shop::start(&[("STORE_ENABLED", "false"), ("WORKER_ENABLED", "false")]);
    let mut store = queue.joined_by(&[("WORKER_ENABLED", "false")]);
    store.until_ready().await;
    let mut page = browser.page(1200, 800).await;
    page.go(&at(&store, "/admin")).await;
    page.until("document.querySelector('.status.up [data-text=connection]')").await;
    queue.terminate().await;
    page.until("document.querySelector('.status.down') && document.querySelector('[data-text=broker]').innerText === 'Away'").await;
    store.terminate().await;
    page.until("document.querySelector('[data-text=connection]').innerText.includes('does not answer')")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_script_a_double_click_buys_once_and_the_panel_loads_itself_anew() {
    let Some(browser) = Browser::start() else { return };
    let queue = Shop::start(&[("STORE_ENABLED", "false"), ("WORKER_ENABLED", "false")]);
    let proxy = Proxy::start(&queue.broker(), Duration::ZERO).await;
    let url = proxy.url.to_string();
    let settings = [("WORKER_ENABLED", "false"), ("ACTIVEMQ_BROKER_URL", &url), ("BROKER_HEART_BEAT", "5m")];
    let shop = Shop::start(&settings);
    shop.until_ready().await;
    let mut page = browser.page(1200, 800).await;
    page.without_script().await;
    page.go(&at(&shop, "/")).await;
    // The second click comes before the first can be answered.
    proxy.flow(false);
    page.click("button[value='100']", 2).await;
    proxy.flow(true);
    until_confirmed(&mut page).await;
    assert_eq!(shop.sold(), 100);
    shop.until_metric("messages", Some(100)).await;

    page.go(&at(&shop, "/")).await;
    // What the browser itself would not send: as from one that knows no `max`.
    page.eval("document.querySelector('#quantity').type = 'text'; document.querySelector('#quantity').value = '10001'").await;
    page.eval("document.querySelector('.other').noValidate = true").await;
    page.click(".primary", 1).await;
    page.until("document.querySelector('#notice')").await;
    assert_eq!(page.text("#notice").await, "“10001” is not a whole number from 1 to 10,000.");
    assert_eq!(page.eval("document.querySelector('#quantity').getAttribute('aria-invalid')").await, "true");
    assert_eq!(shop.sold(), 100);

    page.go(&at(&shop, "/admin")).await;
    page.until("document.querySelector('[data-text=pending]')?.innerText === '100'").await;
    assert_eq!(shop.submit("quantity=5").status, 200);
    page.until("document.querySelector('[data-text=pending]')?.innerText === '105'").await;
    // Again if need be: the page may be on its way to its next self.
    page.until(
        "location.search === '?refresh=off' || document.querySelector('.refresh a')?.click() || false",
    )
    .await;
    page.until("location.search === '?refresh=off' && document.readyState === 'complete'").await;
    assert_eq!(page.eval("document.querySelector('meta[http-equiv=refresh]')").await, json!(null));
}

/// Goes on to the next element by Tab, until a condition on `it`, the focused one, holds. Each one on the way must
/// show that it has the focus.
async fn tab_to(page: &mut Page, condition: &str) {
    for _ in 0..30 {
        page.press("Tab").await;
        let seen = page
            .eval(&format!(
                "(() => {{ const it = document.activeElement; const style = getComputedStyle(it); \
                 return [it.matches(':focus-visible') && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2, \
                 Boolean({condition}), it.outerHTML.slice(0, 80)]; }})()"
            ))
            .await;
        assert_eq!(seen[0], true, "the focus cannot be seen on {}", seen[2]);
        if seen[1] == true {
            return;
        }
    }
    panic!("the keyboard does not get to: {condition}");
}

#[tokio::test]
async fn the_keyboard_is_enough() {
    let Some(browser) = Browser::start() else { return };
    let shop = quiet_shop().await;
    let mut page = browser.page(1200, 800).await;
    page.go(&at(&shop, "/")).await;
    tab_to(&mut page, "it.matches('.skip')").await;
    page.press("Enter").await;
    page.until("location.hash === '#main'").await;
    tab_to(&mut page, "it.value === '10'").await;
    page.press("Enter").await;
    until_confirmed(&mut page).await;
    tab_to(&mut page, "it.innerText === 'Order more'").await;
    page.press("Enter").await;
    page.until("location.pathname === '/' && document.readyState === 'complete'").await;
    tab_to(&mut page, "it.id === 'quantity'").await;
    page.press("4").await;
    page.press("2").await;
    page.press("Enter").await;
    until_confirmed(&mut page).await;
    assert_eq!(shop.sold(), 52);
    tab_to(&mut page, "it.innerText === 'Watch it being made'").await;
    page.press("Enter").await;
    page.until("location.pathname === '/admin' && document.readyState === 'complete'").await;
    tab_to(&mut page, "it.tagName === 'SUMMARY'").await;
    page.press("Enter").await;
    page.until(
        "document.querySelector('details').open && document.querySelector('tbody th').innerText === 'now'",
    )
    .await;
}

#[tokio::test]
async fn everything_fits_on_320_pixels_and_can_be_hit() {
    let Some(browser) = Browser::start() else { return };
    let shop = quiet_shop().await;
    assert_eq!(shop.submit("quantity=10000").status, 200);
    let mut page = browser.page(320, 640).await;
    let order = "0123456789abcdef-12345678901";
    for path in [
        "/",
        "/submit?quantity=many",
        "/admin",
        "/nope",
        &format!("/confirmation?order={order}&quantity=10000&again=1"),
    ] {
        page.go(&at(&shop, path)).await;
        page.eval("document.querySelector('details')?.setAttribute('open', '')").await;
        let width = page.eval("document.documentElement.scrollWidth").await;
        assert_eq!(width, 320, "{path} scrolls sideways");
        // WCAG 2.2, 2.5.8: targets of 24 pixels, but for links within a sentence.
        let small = page
            .eval(
                "[...document.querySelectorAll('a:not(.skip), button, input:not([type=hidden]), summary')].filter(it => \
                 { const box = it.getBoundingClientRect(); return box.height < 24 || box.width < 24; }).map(it => it.outerHTML)",
            )
            .await;
        assert_eq!(small, json!([]), "{path}");
    }
}

#[tokio::test]
async fn who_wants_no_motion_gets_none() {
    let Some(browser) = Browser::start() else { return };
    let shop = quiet_shop().await;
    let mut page = browser.page(1200, 800).await;
    let moving = "getComputedStyle(document.querySelector('.pile')).transitionDuration";
    page.prefer(&[("prefers-reduced-motion", "no-preference")]).await;
    page.go(&at(&shop, "/")).await;
    page.until(&format!("{moving} !== '0s'")).await;
    page.prefer(&[("prefers-reduced-motion", "reduce")]).await;
    page.until(&format!("{moving} === '0s'")).await;
}

/// Writes the pictures in docs/screenshots when UPDATE_SCREENSHOTS is set, of the shop at SHOP_URL if that is set:
/// one that has been busy for a while has more to show.
#[tokio::test]
async fn the_pages_have_their_pictures_taken() {
    let Some(browser) = Browser::start() else { return };
    let shop = quiet_shop().await;
    assert_eq!(shop.submit("quantity=37").status, 200);
    let url = std::env::var("SHOP_URL").unwrap_or_else(|_| at(&shop, ""));
    let mut page = browser.page(1200, 800).await;
    let order = "/confirmation?order=7c3f91d20b6ae845-12&quantity=100";
    for (theme, width) in [("light", 1200), ("dark", 1200), ("light", 320)] {
        page.prefer(&[("prefers-color-scheme", theme), ("prefers-reduced-motion", "reduce")]).await;
        page.resize(width, 720).await;
        for (name, path) in [("store", "/"), ("confirmation", order), ("admin", "/admin")] {
            page.go(&format!("{url}{path}")).await;
            if name == "admin" {
                page.until("document.querySelectorAll('.plot .line').length > 0").await;
            }
            let picture = page.screenshot().await;
            assert!(picture.starts_with(b"\x89PNG"), "{name}");
            if std::env::var_os("UPDATE_SCREENSHOTS").is_some() {
                let size = if width == 320 { "-320" } else { "" };
                let file = format!("../docs/screenshots/{name}-{theme}{size}.png");
                std::fs::write(&file, picture).unwrap_or_else(|error| panic!("{file}: {error}"));
            }
        }
    }
    until("a page that is still served", async || (shop.get("/livez").status == 200).then_some(())).await;
}
