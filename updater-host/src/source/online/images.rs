//! The images of a release: from the cache, or from the server into it.

use super::Online;
use crate::cache::Cache;
use crate::error::Error;
use crate::output::Transfer;
use crate::release::NamedImage;
use crate::server::Fetching;

/// The images of a release that a device may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// That for the slot that it writes.
    pub(super) image: NamedImage,
    /// The table that comes with firmware.
    pub(super) table: Option<NamedImage>,
    /// That for the other slot: for this device when a trial ends, and for other devices of the class.
    pub(super) other: Option<NamedImage>,
}

/// The same images.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) image: Vec<u8>,
    pub(super) table: Option<Vec<u8>>,
    /// Without it the update goes on.
    pub(super) other: Option<Vec<u8>>,
}

impl Online<'_> {
    /// The images of a release. `is_kept`: the server is away, and what is here is all there is.
    pub(super) async fn images(
        &self,
        Wanted { image, table, other }: Wanted,
        is_kept: bool,
    ) -> Result<Fetched, Error> {
        let missing = |named: Option<NamedImage>| -> Result<u64, Error> {
            let Some(NamedImage { digest, size }) = named else { return Ok(0) };
            Ok(if self.cache.image(&digest, size)?.is_some() { 0 } else { size })
        };
        let of_table = missing(Some(image))?;
        let of_other = of_table.saturating_add(missing(table)?);
        let total = of_other.saturating_add(if is_kept { 0 } else { missing(other)? });
        let image = self.needed(image, (0, total), is_kept).await?;
        let table = match table {
            Some(table) => Some(self.needed(table, (of_table, total), is_kept).await?),
            None => None,
        };
        let other = match other {
            Some(other) if is_kept => self.cache.image(&other.digest, other.size)?,
            Some(other) => match self.image(other, of_other, total).await {
                Ok(image) => Some(image),
                Err(error) => {
                    let words = format!("{error}; the image for the other slot is fetched the next time");
                    self.output.warn(&error.code(), &words);
                    None
                }
            },
            None => None,
        };
        Ok(Fetched { image, table, other })
    }

    /// An image without which there is no update.
    async fn needed(
        &self,
        named: NamedImage,
        (before, total): (u64, u64),
        is_kept: bool,
    ) -> Result<Vec<u8>, Error> {
        let image = self.image(named, before, total).await;
        if is_kept && image.as_ref().is_err_and(Error::is_offline) {
            self.warn_of_damage();
        }
        image
    }

    /// An image from the cache or the server. Of `total` bytes from the server, `before` are here already.
    pub(super) async fn image(&self, named: NamedImage, before: u64, total: u64) -> Result<Vec<u8>, Error> {
        let NamedImage { digest, size } = named;
        if let Some(image) = self.cache.image(&digest, size)? {
            return Ok(image);
        }
        match self.fetch_image(self.cache, named, before, total).await {
            Err(error @ Error::Write { .. }) => {
                // The disk of the data folder is full; that of temporary files may not be.
                let Ok(folder) = tempfile::TempDir::new() else { return Err(error) };
                self.output.warn(&error.code(), &format!("{error}; the image is fetched for this run only"));
                let cache = Cache::new(folder.path().to_owned());
                match self.fetch_image(&cache, named, before, total).await {
                    // No disk takes it: that of the data folder is the one to make room on.
                    Err(Error::Write { .. }) => Err(error),
                    fetched => fetched,
                }
            }
            fetched => fetched,
        }
    }

    async fn fetch_image(
        &self,
        cache: &Cache,
        named: NamedImage,
        before: u64,
        total: u64,
    ) -> Result<Vec<u8>, Error> {
        self.output.progress_begin(Transfer::FromServer, before, total);
        let fetched = self
            .server
            .image(cache, &named.digest, named.size, &mut |fetching| match fetching {
                Fetching::At(bytes) => {
                    self.output.progress(Transfer::FromServer, before.saturating_add(bytes), total);
                }
                Fetching::ByAnother => {
                    self.output.say("  Another program downloads the same image; waiting for it.");
                }
            })
            .await;
        self.output.progress_end();
        fetched
    }
}
