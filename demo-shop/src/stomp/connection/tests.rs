//! The client against a peer that says what a script says.

use super::*;
use tokio::io::{DuplexStream, duplex};

const CONNECTED: &str = "CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0";

/// Dials a peer that says this and then keeps silent, with its connection open.
fn saying(text: &'static str) -> Dialer {
    peer(move |mut stream| async move {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut scrap = [0; 1024];
        while stream.read(&mut scrap).await.is_ok_and(|read| read > 0) {}
    })
}

fn peer<F: Future<Output = ()> + Send + 'static>(
    play: impl Fn(DuplexStream) -> F + Send + Sync + 'static,
) -> Dialer {
    Dialer::new(move || {
        let (near, far) = duplex(1 << 16);
        tokio::spawn(play(far));
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    })
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_fails_says_why() {
    let cases = [
        ("", "the broker did not answer within 5s"),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "is this a STOMP port"),
        ("ERROR\nmessage:go away\n\n\0", "the broker refused: go away"),
        ("ERROR\n\njava.lang.Exception\n\tat x\0", "the broker refused: java.lang.Exception"),
        ("RECEIPT\nreceipt-id:1\n\n\0", "RECEIPT in place of CONNECTED"),
        ("CONNECTED\nversion:1.1\n\n\0", "version 1.1"),
        ("CONNECTED\n\n\0", "version 1.0"),
        ("CONNECTED\nversion:1.2\nheart-beat:x\n\n\0", "malformed heart-beat"),
    ];
    for (text, expected) in cases {
        let error = Connection::open(&saying(text), &Config::default()).await.err().expect(text).to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn frames_that_come_before_a_receipt_are_kept() {
    let dialer = saying(
        "CONNECTED\nversion:1.2\n\n\0MESSAGE\nid:1\n\n\0RECEIPT\nreceipt-id:other\n\n\0RECEIPT\nreceipt-id:r1\n\n\0MESSAGE\nid:2\n\n\0",
    );
    let mut connection = Connection::open(&dialer, &Config::default()).await.unwrap();
    connection.receipt("r1", Instant::now()).await.unwrap();
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(connection.recv().await.unwrap().header("id").unwrap_or("receipt").to_owned());
    }
    assert_eq!(kept, ["1", "receipt", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_does_not_come_is_not_waited_for_longer_than_allowed() {
    let mut connection = Connection::open(&saying(CONNECTED), &Config::default()).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(3);
    let error = connection.receipt("r1", deadline).await.unwrap_err();
    assert!(matches!(error, ConnectionError::ReceiptTimeout), "{error}");
    assert_eq!(Instant::now().duration_since(deadline).as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_flood_before_the_receipt_is_not_kept() {
    let dialer = peer(|mut stream| async move {
        stream.write_all(CONNECTED.as_bytes()).await.unwrap();
        while stream.write_all(b"MESSAGE\n\n\0").await.is_ok() {}
    });
    let mut connection = Connection::open(&dialer, &Config::default()).await.unwrap();
    let error = connection.receipt("r1", Instant::now() + Duration::from_secs(3)).await.unwrap_err();
    assert!(matches!(error, ConnectionError::Flooded), "{error}");
    let error = connection.broken().await;
    assert!(matches!(error, ConnectionError::Flooded), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_given_up() {
    let dialer = peer(|mut stream| async move {
        stream.write_all(CONNECTED.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let mut connection = Connection::open(&dialer, &Config::default()).await.unwrap();
    let frame = Frame::new(Command::Send).body(vec![b'x'; 3 * PIECE]);
    let error = connection.send(&frame).await.unwrap_err();
    assert!(matches!(error, ConnectionError::WriteTimeout(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn credentials_are_sent_and_beats_kept() {
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let dialer = peer(move |mut stream| {
        let said = said.clone();
        async move {
            let greeting = b"CONNECTED\nversion:1.2\nheart-beat:0,4000\n\n\0";
            stream.write_all(greeting).await.unwrap();
            let mut bytes = [0; 1024];
            while let Ok(read @ 1..) = stream.read(&mut bytes).await {
                said.send((Instant::now(), bytes[..read].to_vec())).unwrap();
            }
        }
    });
    let credentials = Credentials::new("shop", "se:cret").unwrap();
    let config =
        Config { credentials: Some(credentials), heart_beat: Duration::from_secs(1), ..Config::default() };
    let mut connection = Connection::open(&dialer, &config).await.unwrap();
    let opened = Instant::now();
    let (_, connect) = heard.recv().await.unwrap();
    assert_eq!(
        String::from_utf8(connect).unwrap(),
        "CONNECT\naccept-version:1.2\nhost:/\nheart-beat:1000,1000\nlogin:shop\npasscode:se:cret\n\n\0"
    );
    let beats = timeout(Duration::from_secs(7), connection.recv()).await;
    assert!(beats.is_err(), "nothing but beats");
    let mut at = Vec::new();
    while let Ok((when, bytes)) = heard.try_recv() {
        assert_eq!(bytes, b"\n");
        at.push((when - opened).as_millis());
    }
    assert_eq!(at.len(), 3, "{at:?}");
}
