//! TOML value by value, each with the byte at which it stands: nothing of a description is passed over.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::Error;

/// Why a description is not read.
#[derive(Debug)]
pub(super) enum Fault {
    /// At this byte of the description.
    At(usize, String),
    /// Of a file that it names.
    Of(Box<Error>),
}

pub(super) type Read<T> = Result<T, Fault>;

/// A value of a description.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'n, 'i>(&'n Spanned<DeValue<'i>>);

impl<'n, 'i> Node<'n, 'i> {
    /// This value is at fault.
    pub(super) fn fault(self, what: impl Into<String>) -> Fault {
        Fault::At(self.0.span().start, what.into())
    }

    fn value(self) -> &'n DeValue<'i> {
        self.0.get_ref()
    }

    fn other(self, wanted: &str) -> Fault {
        self.fault(format!("{wanted} is required here, and this is of type {}", self.value().type_str()))
    }

    pub(super) fn is_text(self) -> bool {
        self.value().is_str()
    }

    pub(super) fn is_list(self) -> bool {
        self.value().is_array()
    }

    pub(super) fn text(self) -> Read<&'n str> {
        self.value().as_str().ok_or_else(|| self.other("a text"))
    }

    pub(super) fn flag(self) -> Read<bool> {
        self.value().as_bool().ok_or_else(|| self.other("true or false"))
    }

    pub(super) fn as_flag(self) -> Option<bool> {
        self.value().as_bool()
    }

    pub(super) fn uint(self) -> Read<u64> {
        let number = self.value().as_integer().ok_or_else(|| self.other("a number"))?;
        u64::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| self.fault(format!("{} is not a number from 0 to 2^64-1", number.as_str())))
    }

    pub(super) fn int(self) -> Read<i64> {
        let number = self.value().as_integer().ok_or_else(|| self.other("a number"))?;
        i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| self.fault(format!("{} is not a number of 64 bits", number.as_str())))
    }

    /// A text that stands for one of these.
    pub(super) fn one_of<T: Copy>(self, names: &[(&str, T)]) -> Read<T> {
        let text = self.text()?;
        let found = names.iter().find(|(name, _)| *name == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            self.fault(format!("{text:?} is none of {}", names.join(", ")))
        })
    }

    pub(super) fn items(self) -> Read<Vec<Self>> {
        let items = self.value().as_array().ok_or_else(|| self.other("a list"))?;
        Ok(items.iter().map(Self).collect())
    }

    pub(super) fn table(self) -> Read<Table<'n, 'i>> {
        let table = self.value().as_table().ok_or_else(|| self.other("a table"))?;
        Ok(Table::new(table, self.0.span().start))
    }
}

/// A table, whose entries are taken one by one.
#[derive(Debug)]
pub(super) struct Table<'n, 'i> {
    at: usize,
    /// Name, the byte at which it stands, value.
    left: Vec<(&'n str, usize, Node<'n, 'i>)>,
}

impl<'n, 'i> Table<'n, 'i> {
    pub(super) fn new(table: &'n DeTable<'i>, at: usize) -> Self {
        let mut left: Vec<_> = table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), key.span().start, Node(value)))
            .collect();
        left.sort_by_key(|(_, at, _)| *at);
        Self { at, left }
    }

    /// The value with this name, if it is there.
    pub(super) fn take(&mut self, name: &str) -> Option<Node<'n, 'i>> {
        let index = self.left.iter().position(|(known, ..)| *known == name)?;
        Some(self.left.remove(index).2)
    }

    pub(super) fn need(&mut self, name: &str) -> Read<Node<'n, 'i>> {
        self.take(name).ok_or_else(|| Fault::At(self.at, format!("{name} is missing")))
    }

    /// The items of the list with this name; none if it is not there.
    pub(super) fn list(&mut self, name: &str) -> Read<Vec<Node<'n, 'i>>> {
        self.take(name).map_or(Ok(Vec::new()), Node::items)
    }

    /// All that is left, in the order of the text.
    pub(super) fn entries(self) -> Vec<(&'n str, usize, Node<'n, 'i>)> {
        self.left
    }

    /// The one entry of a table that has no other.
    pub(super) fn only(self) -> Read<(&'n str, usize, Node<'n, 'i>)> {
        match self.left.as_slice() {
            [entry] => Ok(*entry),
            _ => Err(Fault::At(
                self.at,
                format!("a table of one entry is required here, and this has {}", self.left.len()),
            )),
        }
    }

    /// Nothing is left that nobody has read.
    pub(super) fn finish(self) -> Read<()> {
        match self.left.first() {
            Some((name, at, _)) => Err(Fault::At(*at, format!("{name:?} is not known here"))),
            None => Ok(()),
        }
    }
}
