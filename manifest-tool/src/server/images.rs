//! What a release installs, on its way to the server.

use indicatif::ProgressBar;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Response, StatusCode};
use server_client::{MAX_JSON_LEN, has_etag, transfer_time, waited_for, waited_for_once_sent};
use tokio::sync::oneshot;

use super::answers::{StoredImage, check};
use super::{Outcome, REQUEST_TIMEOUT, Server, object, outcome};
use crate::error::Error;
use crate::output::{Output, progress_bar};

const STEP: &str = "sending the image";
/// Bytes that are handed over at a time, and counted by the progress bar.
const CHUNK_LEN: usize = 64 * 1024;

impl Server {
    /// Sends an image, unless the server holds it whole: a large one is not sent for nothing.
    pub(crate) async fn put_image(
        &self,
        sha256: &str,
        image: &[u8],
        output: Output,
    ) -> Result<Outcome, Error> {
        let head = self.client.head(self.url(&["images", sha256])).timeout(REQUEST_TIMEOUT);
        // Whatever the answer, the PUT decides.
        let held = waited_for(head.send(), || self.say_waiting(&ProgressBar::hidden())).await.ok();
        let is_whole = |answer: &Response| {
            answer.status() == StatusCode::OK
                && named_len(answer) == Some(image.len() as u64)
                && has_etag(answer.headers(), sha256)
        };
        if held.as_ref().is_some_and(is_whole) {
            return Ok(Outcome::Present);
        }
        let is_damaged = held.is_some_and(|answer| {
            matches!(answer.status(), StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE)
        });
        let outcome = self.send_image(sha256, image, output).await?;
        // A proxy answers 503 too: only an image that was there is repaired.
        Ok(if is_damaged && outcome == Outcome::Present { Outcome::Repaired } else { outcome })
    }

    /// Sends an image whatever the server holds: that repairs what is damaged there.
    pub(crate) async fn send_image(
        &self,
        sha256: &str,
        image: &[u8],
        output: Output,
    ) -> Result<Outcome, Error> {
        let len = image.len() as u64;
        let bar = progress_bar(len, "  image {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}", output);
        let shown = bar.clone();
        let (body, sent) = upload(image.to_vec(), move |bytes| shown.inc(bytes));
        let request = self
            .client
            .put(self.url(&["images", sha256]))
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, len)
            .timeout(transfer_time(len))
            .body(body);
        let answer = self.exchange(STEP, request, MAX_JSON_LEN);
        let answer = waited_for_once_sent(sent, answer, || self.say_waiting(&bar)).await;
        bar.finish_and_clear();
        let answer = answer?;
        let _stored: StoredImage = check(STEP, object(STEP, &answer)?, &(sha256, len))?;
        Ok(outcome(answer.status))
    }
}

/// `Content-Length` of the answer to a HEAD, which has no body of that length.
fn named_len(answer: &Response) -> Option<u64> {
    answer.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body that says how much of it was handed over, and when all of it was.
pub(super) fn upload(
    content: Vec<u8>,
    mut told: impl FnMut(u64) + Send + 'static,
) -> (Body, oneshot::Receiver<()>) {
    let (sender, sent) = oneshot::channel();
    let mut sender = Some(sender);
    let mut position = 0;
    let chunks = std::iter::from_fn(move || {
        let rest = content.get(position..)?;
        let chunk = rest.get(..CHUNK_LEN.min(rest.len())).filter(|chunk| !chunk.is_empty())?;
        position += chunk.len();
        told(chunk.len() as u64);
        if position == content.len() {
            // A receiver without a sender is ready.
            drop(sender.take());
        }
        Some(Ok::<_, std::convert::Infallible>(chunk.to_vec()))
    });
    (Body::wrap_stream(futures::stream::iter(chunks)), sent)
}
