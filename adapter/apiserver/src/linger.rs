//! A stream that ends gently.
//!
//! After the last answer what the peer still says is read and dropped, for a moment. A close with unread bytes, or before
//! them, would reset the connection, and what the peer has not read of the answer would go with it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// A stream whose end waits for the peer's.
pub(crate) struct Linger<S> {
    stream: S,
    /// When the peer's end has been waited for long enough; none before ours is said.
    until: Option<Pin<Box<Sleep>>>,
}

/// The longest wait for the peer's end after ours.
const LINGER: Duration = Duration::from_secs(1);

// === impl Linger ===

impl<S> Linger<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, until: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Linger<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, until } = self.get_mut();
        if until.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
        }
        let until = until.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut scrap = [0; 4096];
        loop {
            let mut scrap = ReadBuf::new(&mut scrap);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut scrap));
            // Broken is as good an end as any: ours is said.
            if read.is_err() || scrap.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
        time::Instant,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_the_peer_still_says_is_read_until_its_end() {
        let (near, mut far) = duplex(4);
        let mut near = Linger::new(near);
        near.write_all(b"bye").await.unwrap();
        let begun = Instant::now();
        let peer = tokio::spawn(async move {
            far.write_all(&[0; 20]).await.unwrap();
            sleep(LINGER / 2).await;
            let mut said = Vec::new();
            far.read_to_end(&mut said).await.unwrap();
            said
        });
        near.shutdown().await.unwrap();
        assert_eq!(begun.elapsed(), LINGER / 2);
        assert_eq!(peer.await.unwrap(), b"bye");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_without_an_end_is_waited_for_no_longer_than_a_moment() {
        let (near, mut far) = duplex(4);
        let talkative = tokio::spawn(async move {
            while far.write_all(&[0; 20]).await.is_ok() {
                sleep(LINGER / 10).await;
            }
        });
        let begun = Instant::now();
        let mut near = Linger::new(near);
        near.shutdown().await.unwrap();
        assert_eq!(begun.elapsed(), LINGER);
        drop(near);
        talkative.await.unwrap();
    }
}
