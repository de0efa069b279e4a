//! A connection that says when all of an answer has left this process. hyper takes an answer faster than its reader: a
//! connection whose answer waits in hyper's buffer is no idle one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connections::Progress;

/// A stream, and the connection's phase.
#[derive(Debug)]
pub(super) struct Flushed<S> {
    stream: S,
    progress: Progress,
}

impl<S> Flushed<S> {
    pub(super) fn new(stream: S, progress: Progress) -> Self {
        Self { stream, progress }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Flushed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Flushed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper asks for this once its own buffer is empty.
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if let Poll::Ready(Ok(())) = flushed {
            self.progress.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use axum::body::Body;
    use axum::response::Response;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::connections::Connections;
    use super::*;

    #[tokio::test]
    async fn an_answer_that_is_not_sent_yet_keeps_its_place() {
        const LEN: usize = 100_000;
        let address = |last| IpAddr::from(Ipv4Addr::new(10, 0, 0, last));
        let connections = Connections::new(1, 1);
        let place = connections.admit(address(1)).await.unwrap();
        let (mut client, server) = tokio::io::duplex(1024);
        let (progress, taken) = (place.progress(), Arc::new(AtomicBool::new(false)));
        let service = {
            let taken = taken.clone();
            service_fn(move |_| {
                let (progress, taken) = (progress.clone(), taken.clone());
                progress.works();
                let end = futures::stream::once(async move {
                    taken.store(true, Ordering::Relaxed);
                    Ok::<_, Infallible>(vec![0x5a; LEN])
                });
                async move { Ok::<_, Infallible>(Response::new(progress.answers(Body::from_stream(end)))) }
            })
        };
        let io = TokioIo::new(Flushed::new(server, place.progress()));
        tokio::spawn(http1::Builder::new().serve_connection(io, service));
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        // Until hyper has taken all of it; what is left of it now only depends on the client.
        while !taken.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let next = connections.admit(address(2));
        tokio::pin!(next);
        assert!(futures::poll!(&mut next).is_pending(), "the answer is on its way");
        let mut read = 0;
        let mut buffer = vec![0; 4096];
        while read < LEN {
            read += client.read(&mut buffer).await.unwrap();
        }
        // Before it counts as a slow reader.
        let admitted = tokio::time::timeout(Duration::from_secs(10), next).await;
        assert!(admitted.is_ok_and(|place| place.is_some()), "the other one waits for a request now");
    }
}
