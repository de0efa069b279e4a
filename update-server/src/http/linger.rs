//! A refusal often comes before its request was read to the end: no token, too long, wrong path. To close then would
//! make the peer's TCP throw the answer away with the connection (RFC 9112 section 9.6), so the server reads on for
//! a while and then answers.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};

/// What is read in vain at most: beyond it the connection is closed as it is.
const LINGER_LEN: usize = 64 << 20;
const LINGER_TIME: Duration = Duration::from_secs(5);

type Slot = Arc<Mutex<Option<BodyDataStream>>>;

/// A body that, when its reader drops it, goes back to where it came from.
struct Returning {
    body: Option<BodyDataStream>,
    slot: Slot,
}

impl Stream for Returning {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.body {
            Some(body) => body.poll_next_unpin(context),
            None => Poll::Ready(None),
        }
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
    }
}

/// Middleware: reads what is left of the request before a refusal is sent.
pub(super) async fn linger(request: Request, next: Next) -> Response {
    // A client that waits for `100 Continue` has sent nothing yet, and reading would ask it to.
    if request.headers().contains_key(EXPECT) {
        return next.run(request).await;
    }
    let slot = Slot::default();
    let request = request
        .map(|body| Body::from_stream(Returning { body: Some(body.into_data_stream()), slot: slot.clone() }));
    let response = next.run(request).await;
    if response.status().is_client_error() || response.status().is_server_error() {
        let rest = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(rest) = rest {
            // Whether it ends in time or not, the answer is sent.
            let _ = tokio::time::timeout(LINGER_TIME, drain(rest)).await;
        }
    }
    response
}

async fn drain(mut body: BodyDataStream) {
    let mut read = 0;
    while let Some(Ok(part)) = body.next().await {
        read += part.len();
        if read > LINGER_LEN {
            break;
        }
    }
}
