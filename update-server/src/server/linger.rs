//! A refusal often comes before its request was read to the end: no token, too long, wrong path. To close then would
//! make the peer's TCP throw the answer away with the connection (RFC 9112 section 9.6), so the server reads on for
//! a while and then answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use hyper::body::Body as _;
use hyper::service::Service;

use super::connections::Progress;

/// Bytes to discard at most before the answer is sent.
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

/// Lets `service` answer, and reads the rest of the request before a refusal is sent. Meanwhile the connection only
/// waits: its place may go to another client.
pub(super) async fn answer<S>(service: &S, request: Request, progress: &Progress) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    // A client that waits for `100 Continue` has sent nothing yet, and reading would ask it to.
    if request.headers().contains_key(EXPECT) || request.body().is_end_stream() {
        return unwrap(service.call(request).await);
    }
    let slot = Slot::default();
    let request = request
        .map(|body| Body::from_stream(Returning { body: Some(body.into_data_stream()), slot: slot.clone() }));
    let response = unwrap(service.call(request).await);
    if response.status().is_client_error() || response.status().is_server_error() {
        let rest = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(rest) = rest {
            progress.waits();
            // Whether it ends in time or not, the answer is sent.
            let _ = tokio::time::timeout(LINGER_TIME, drain(rest)).await;
        }
    }
    response
}

fn unwrap(answered: Result<Response, Infallible>) -> Response {
    match answered {
        Ok(response) => response,
        Err(never) => match never {},
    }
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

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use axum::http::StatusCode;
    use axum::response::IntoResponse as _;
    use hyper::service::service_fn;

    use super::super::connections::Connections;
    use super::*;

    #[tokio::test]
    async fn a_refused_body_that_comes_slowly_holds_no_place() {
        let address = |last| IpAddr::from(Ipv4Addr::new(10, 0, 0, last));
        let connections = Connections::new(1, 1);
        let place = connections.admit(address(1)).await.unwrap();
        let progress = place.progress();
        progress.works();
        let refuse =
            service_fn(async |_: Request| Ok::<_, Infallible>(StatusCode::UNAUTHORIZED.into_response()));
        let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        let refused = answer(&refuse, Request::new(Body::from_stream(never)), &progress);
        let admitted = tokio::time::timeout(LINGER_TIME * 2, connections.admit(address(2)));
        let admitted = async {
            // After the answer is decided.
            tokio::task::yield_now().await;
            admitted.await
        };
        let (response, admitted) = futures::join!(refused, admitted);
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(admitted.expect("it comes while the other lingers").is_some());
    }
}
