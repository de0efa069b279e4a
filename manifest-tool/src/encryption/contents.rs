//! The files of what a release installs.

use std::path::Path;

use suit_manifest::author::inspect;
use suit_manifest::{ImageReference, ReleaseImages};

use crate::error::Error;
use crate::files::read;
use crate::image::MAX_IMAGE_LEN;
use crate::verification::{by_option, match_file};

/// Files with the content of a release.
#[derive(Clone, Copy)]
pub(crate) struct ContentFiles<'f> {
    /// The image, or the table of a release of one.
    pub(crate) image: &'f Path,
    pub(crate) second_image: Option<&'f Path>,
    /// The table that comes with firmware.
    pub(crate) table: Option<&'f Path>,
    /// The options of the command that are for the latter two.
    pub(crate) options: [&'static str; 2],
}

impl<'f> ContentFiles<'f> {
    /// The files of what an unsigned envelope names, in the order of [`ReleaseImages::iter`].
    pub(crate) fn read(&self, (path, envelope): (&Path, &'f [u8])) -> Result<Contents<'f>, Error> {
        let inspected = inspect(envelope).and_then(|inspection| inspection.images());
        let images = inspected.map_err(|error| Error::refused_manifest(path, error))?;
        let named = by_option(&images);
        let ReleaseImages { first, second, table } = images;
        let [for_second, for_table] = self.options;
        let second = paired(self.second_image, second, "an image for the second slot", for_second)?;
        let table = paired(self.table, table, "a table beside its image", for_table)?;
        let files: Vec<_> = [Some((self.image, first)), second, table].into_iter().flatten().collect();
        let files: Vec<_> = files.into_iter().map(|(path, _)| path).collect();
        let read = files.iter().map(|path| read(path, MAX_IMAGE_LEN));
        Ok(Contents { content: read.collect::<Result<_, _>>()?, files, named })
    }
}

/// Content of a release as it was read: nobody has compared it with what the release names.
pub(crate) struct Contents<'f> {
    content: Vec<Vec<u8>>,
    files: Vec<&'f Path>,
    /// Of each file, its option and what the release names.
    named: Vec<(&'static str, ImageReference<'f>)>,
}

impl Contents<'_> {
    /// The content, if it is what the release names.
    pub(crate) fn matched(self) -> Result<Vec<Vec<u8>>, Error> {
        self.check()?;
        Ok(self.content)
    }

    /// What `work` makes of the content, if it is what the release names. Of a long image the digest takes a while, and
    /// is made meanwhile.
    pub(crate) fn matched_while<T>(
        &self,
        work: impl FnOnce(&[Vec<u8>]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (check, made) = std::thread::scope(|scope| {
            let check = scope.spawn(|| self.check());
            let made = work(&self.content);
            (check.join(), made)
        });
        check.map_err(|_| Error::Internal("an image was not compared with its digest"))??;
        made
    }

    fn check(&self) -> Result<(), Error> {
        let mut files = self.files.iter().zip(&self.content).zip(&self.named);
        files.try_for_each(|((path, content), (option, _))| match_file(path, content, option, &self.named))
    }
}

/// A file and what it is for; neither without the other. `options` are those of the command that are for it.
fn paired<F, N>(
    file: Option<F>,
    named: Option<N>,
    what: &str,
    options: &str,
) -> Result<Option<(F, N)>, Error> {
    match (file, named) {
        (Some(file), Some(named)) => Ok(Some((file, named))),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Error::usage(format!("the release has {what}; pass {options}"))),
        (Some(_), None) => Err(Error::usage(format!("the release does not have {what}; omit {options}"))),
    }
}
