//! Clients that mean no good, over real sockets. After each of them the shop serves the next one.

use crate::process::Shop;
use crate::wait::{PATIENCE, until};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;

fn connect(shop: &Shop) -> TcpStream {
    let stream = TcpStream::connect(&shop.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes and reads what comes until the end. Who is so slow to send that the shop has closed meanwhile is reset,
/// perhaps before it has read the answer, and asks again.
async fn answer_to(shop: &Shop, bytes: &[u8]) -> String {
    until("an answer", async || {
        let mut stream = connect(shop);
        // The shop may have heard enough before the end.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
        (!answer.is_empty()).then(|| String::from_utf8_lossy(&answer).into_owned())
    })
    .await
}

/// A live panel's stream, and its head.
fn watch(shop: &Shop) -> (TcpStream, String) {
    let mut stream = connect(shop);
    stream.write_all(b"GET /admin/events HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
    let head = read_past(&mut stream, "\r\n\r\n");
    (stream, head)
}

/// What comes up to and with a text.
fn read_past(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(text.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        read.extend(byte);
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn bodies_heads_and_forms_that_no_browser_sends_are_refused() {
    let shop = Shop::start(&[("WORKER_ENABLED", "false"), ("SUBMIT_RATE", "0")]);
    shop.until_ready().await;
    let post = "POST /submit HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n";
    let form = |body: &str| format!("{post}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
    let endless = [
        format!("{post}Transfer-Encoding: chunked\r\n\r\n").into_bytes(),
        b"10000\r\n".to_vec(),
        vec![b'a'; 0x1_0000],
    ]
    .concat();
    let long_head = format!("GET / HTTP/1.1\r\nHost: shop\r\nX: {}\r\n\r\n", "x".repeat(64 << 10));
    let many_headers = format!("GET / HTTP/1.1\r\nHost: shop\r\n{}\r\n", "X: y\r\n".repeat(2000));
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a body without an end", endless, "HTTP/1.1 413"),
        (
            "a length of a terabyte",
            format!("{post}Content-Length: 1000000000000\r\n\r\n{}", "a".repeat(8192)).into_bytes(),
            "HTTP/1.1 413",
        ),
        ("a negative length", format!("{post}Content-Length: -1\r\n\r\n").into_bytes(), "HTTP/1.1 400"),
        (
            "two lengths",
            format!("{post}Content-Length: 10\r\nContent-Length: 11\r\n\r\nquantity=1").into_bytes(),
            "HTTP/1.1 400",
        ),
        ("a long head", long_head.into_bytes(), "HTTP/1.1 431"),
        ("many headers", many_headers.into_bytes(), "HTTP/1.1 431"),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), "HTTP/1.1 400"),
        ("a line break in the quantity", form("quantity=1%0d%0aSet-Cookie:x=y"), "HTTP/1.1 400"),
        ("a line break in the token", form("quantity=1&token=0123456789abcdef%0d%0aX:y"), "HTTP/1.1 400"),
        ("bytes that are no text", form("quantity=%ff%fe%00"), "HTTP/1.1 400"),
        ("a thousand fields", form(&"quantity=1&".repeat(300)), "HTTP/1.1 400"),
    ];
    for (what, bytes, status) in cases {
        let answer = answer_to(&shop, &bytes).await;
        assert!(answer.starts_with(status), "{what}: {answer}");
        let head = answer.split("\r\n\r\n").next().unwrap().to_lowercase();
        assert!(!head.contains("set-cookie") && !head.contains("\nx:"), "{what}: {answer}");
        assert_eq!(shop.get("/livez").status, 200, "{what}");
    }
    assert_eq!(shop.sold(), 0);
}

#[tokio::test]
async fn one_client_cannot_take_all_connections() {
    let shop = Shop::start(&[("HTTP_MAX_CONNECTIONS", "20"), ("HTTP_MAX_CONNECTIONS_EACH", "4")]);
    shop.until_ready().await;
    let silent: Vec<_> = (0..100).map(|_| connect(&shop)).collect();
    // Another address of this machine, as that of a probe would be.
    let is_served = async |from: [u8; 4]| -> io::Result<bool> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let mut stream = socket.connect(shop.http.parse().unwrap()).await?;
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    assert!(is_served([127, 0, 0, 2]).await.unwrap());
    // When they are gone, their client is served again.
    drop(silent);
    until("room", async || is_served([127, 0, 0, 1]).await.ok().filter(|served| *served)).await;
}

#[tokio::test]
async fn what_a_client_says_comes_back_as_text() {
    let shop = Shop::start(&[("WORKER_ENABLED", "false"), ("HOSTNAME", "<script>alert(1)</script>")]);
    shop.until_ready().await;
    let script = "%3Cscript%3Ealert(1)%3C/script%3E";
    let html = |path: String| shop.ask(&format!("GET {path} HTTP/1.1\r\nAccept: text/html"), "");
    for path in [
        format!("/submit?quantity={script}"),
        format!("/submit?quantity=1&token={script}"),
        format!("/confirmation?order={script}&quantity=1"),
        format!("/{script}"),
        format!("/admin?refresh={script}"),
    ] {
        let answer = html(path.clone());
        assert!(!answer.body.contains("<script>"), "{path}: {}", answer.body);
        assert!(
            answer.head.contains("content-security-policy: default-src 'none'"),
            "{path}: {}",
            answer.head
        );
    }
    let traceparent = "GET / HTTP/1.1\r\ntraceparent: 00-\"><script>-x";
    assert!(!shop.ask(traceparent, "").head.contains("script>"));
    let page = shop.get("/metrics").body;
    assert!(!page.contains("script"), "{page}");
}

#[tokio::test]
async fn viewers_who_do_not_read_take_their_own_places_alone_and_end_with_the_shop() {
    let mut shop = Shop::start(&[("ADMIN_VIEWERS", "2"), ("SHUTDOWN_GRACE", "1h")]);
    shop.until_ready().await;
    let (mut first, head) = watch(&shop);
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
    let (_second, head) = watch(&shop);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let (_third, head) = watch(&shop);
    assert!(head.starts_with("HTTP/1.1 503") && head.to_lowercase().contains("retry-after: 30"), "{head}");
    assert_eq!(shop.submit("quantity=1").status, 200);
    read_past(&mut first, "event: numbers");
    assert!(shop.terminate().await.success());
    first.read_to_string(&mut String::new()).unwrap();
}
