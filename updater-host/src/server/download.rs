//! An image by its digest: resumed with a range request where an earlier try stopped, matched before it is used.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, IF_RANGE, RANGE};

use super::Server;
use crate::cache::Cache;
use crate::error::{Error, ServerAnswerError};

/// Tries in a row that bring nothing before the server counts as unreachable.
const MAX_FRUITLESS_TRIES: u32 = 4;
/// Pause after the first of them; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Whole downloads that turn out to be something else.
const MAX_WRONG_CONTENT: u32 = 2;
/// How often it is looked whether another program has finished fetching the same image.
const OTHER_FETCH_PAUSE: Duration = Duration::from_millis(200);

/// How an image is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fetching {
    /// So many bytes are here.
    At(u64),
    /// Another program fetches it.
    ByAnother,
}

impl Server {
    /// An image from the cache, or from the server into the cache.
    ///
    /// # Errors
    /// [`Error::ServerUnreachable`], also of one that is too slow; [`Error::ServerRefused`], [`Error::ServerAnswer`],
    /// [`Error::Write`], [`Error::DownloadBusy`]
    pub(crate) async fn image(
        &self,
        cache: &Cache,
        digest: &[u8; 32],
        size: u64,
        progress: &mut dyn FnMut(Fetching),
    ) -> Result<Vec<u8>, Error> {
        let until = Instant::now() + (self.image_time)(size);
        let mut wrong = 0;
        let mut waits = false;
        loop {
            if let Some(image) = cache.image(digest, size)? {
                return Ok(image);
            }
            let Some(mut partial) = cache.partial_image(digest)? else {
                if Instant::now() >= until {
                    return Err(Error::DownloadBusy);
                }
                if !std::mem::replace(&mut waits, true) {
                    progress(Fetching::ByAnother);
                }
                tokio::time::sleep(OTHER_FETCH_PAUSE).await;
                continue;
            };
            if partial.len() > size {
                partial.restart()?;
            }
            let mut fruitless = 0;
            while partial.len() < size {
                let before = partial.len();
                match self.fetch(&mut partial, digest, size, until, progress).await {
                    Ok(()) => {}
                    Err(error @ Error::ServerUnreachable { .. }) => {
                        if Instant::now() >= until {
                            return Err(error);
                        }
                        fruitless = if partial.len() > before { 0 } else { fruitless + 1 };
                        if fruitless == MAX_FRUITLESS_TRIES {
                            return Err(error);
                        }
                        tokio::time::sleep(FIRST_PAUSE * 2u32.pow(fruitless.saturating_sub(1))).await;
                    }
                    Err(error) => return Err(error),
                }
            }
            if let Some(image) = cache.finish_image(partial, digest, size)? {
                return Ok(image);
            }
            wrong += 1;
            if wrong == MAX_WRONG_CONTENT {
                return Err(Error::ServerAnswer(ServerAnswerError::OtherContent { what: "image" }));
            }
        }
    }

    /// One request for what is missing. On an error, what came is kept.
    async fn fetch(
        &self,
        partial: &mut crate::cache::PartialImage,
        digest: &[u8; 32],
        size: u64,
        until: Instant,
        progress: &mut dyn FnMut(Fetching),
    ) -> Result<(), Error> {
        let name = hex::encode(digest);
        let time_left = until.saturating_duration_since(Instant::now());
        let mut request = self.client.get(self.url(&["v1", "images", &name])).timeout(time_left);
        if !partial.is_empty() {
            request = request
                .header(RANGE, format!("bytes={}-", partial.len()))
                .header(IF_RANGE, format!("\"{name}\""));
        }
        let mut response = self.send(request, time_left).await?;
        match response.status() {
            // The whole image, asked for or not.
            StatusCode::OK => partial.restart()?,
            StatusCode::PARTIAL_CONTENT => {
                let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
                let expected = format!("bytes {}-{}/{size}", partial.len(), size.saturating_sub(1));
                if partial.is_empty() || range != Some(&expected) {
                    return Err(Error::ServerAnswer(ServerAnswerError::Range));
                }
            }
            status => return Err(Error::ServerAnswer(ServerAnswerError::Status(status.as_u16()))),
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if partial.len().saturating_add(chunk.len() as u64) > size {
                partial.restart()?;
                return Err(Error::ServerAnswer(ServerAnswerError::TooLong(size)));
            }
            partial.append(&chunk)?;
            progress(Fetching::At(partial.len()));
        }
        if partial.len() < size {
            // A server that ends early each time makes no progress and is given up as one that does not answer.
            return Err(Error::ServerUnreachable {
                url: self.name(),
                detail: "the image ended early".to_owned(),
            });
        }
        Ok(())
    }
}
