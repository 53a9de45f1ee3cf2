//! Pods' pages: the smallest HTTP servers that can be had, and some that are none.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Serves `page` as text on loopback for as long as the test runs.
pub(crate) async fn serve(page: impl Into<String>) -> SocketAddr {
    let page = page.into();
    let length = page.len();
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n{page}");
    answer_with(answer.into_bytes()).await
}

/// Answers every request with these bytes and closes the connection.
pub(crate) async fn answer_with(bytes: Vec<u8>) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

/// Begins an answer, and then sends `more` for ever.
pub(crate) async fn endless(head: &'static str, more: &[u8]) -> SocketAddr {
    let more = more.to_vec();
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let more = more.clone();
            tokio::spawn(async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(head.as_bytes()).await;
                while stream.write_all(&more).await.is_ok() {}
            });
        }
    });
    address
}

/// Accepts, and says nothing.
pub(crate) async fn hang() -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    address
}

/// Accepts, reads the request and resets the connection.
pub(crate) async fn reset() -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            read_head(&mut stream).await;
            let _ = stream.set_zero_linger();
        }
    });
    address
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => head.extend_from_slice(&buffer[..read]),
        }
    }
}
