//! A reader of CBOR that keeps the refusals of this crate too: the first fault, of either kind, and nothing is read
//! after it (docs/decisions/0031). A function reads a whole structure; its caller then asks once.

use core::ops::{Deref, DerefMut};

use trust::cbor::{Reader, Span};

use crate::error::{Error, ErrorKind};

#[derive(Clone, Debug)]
/// A [`Reader`] with this crate's first refusal.
pub struct Source<'a> {
    reader: Reader<'a>,
    /// The first fault, if it is a refusal of this crate.
    refused: Option<Error>,
}

impl<'a> Source<'a> {
    #[inline(never)]
    pub(crate) fn of(Span { bytes, base }: Span<'a>) -> Self {
        Self { reader: Reader::nested(bytes, base), refused: None }
    }

    /// Refuses what was read, unless there is a fault already.
    #[inline(never)]
    pub(crate) fn refuse_as(&mut self, kind: ErrorKind, position: u32) {
        if self.reader.check().is_ok() {
            self.refused = Some(Error::new(kind, position));
        }
        // Nothing is read after it.
        self.reader.refuse(trust::ErrorKind::UnexpectedType, position);
    }

    /// Succeeds when there was no fault.
    ///
    /// # Errors
    /// The first fault.
    #[inline(never)]
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.refused {
            Some(refused) => Err(refused),
            None => Ok(self.reader.check()?),
        }
    }

    /// Succeeds when there was no fault and nothing is left.
    ///
    /// # Errors
    /// The first fault; that of [`Reader::expect_end`].
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.reader.expect_end();
        self.check()
    }

    /// [`Reader::embedded`].
    pub(crate) fn embedded<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let after = self.reader.enter();
        let value = read(self);
        self.reader.leave(&after);
        value
    }
}

impl<'a> Deref for Source<'a> {
    type Target = Reader<'a>;

    fn deref(&self) -> &Self::Target {
        &self.reader
    }
}

impl DerefMut for Source<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.reader
    }
}
