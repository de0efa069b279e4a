//! suit-text, draft-ietf-suit-manifest-37 section 8.4.4: the text of a manifest for people, by language.

use trust::cbor::{Major, Span};

use crate::component::{ComponentId, Components};
use crate::error::{Error, ErrorKind};
use crate::reason::Reason;
use crate::source::Source;
pub use crate::vocabulary::{ComponentText, ManifestText};

/// One text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TextEntry<'a> {
    /// Language tag, such as `en` or `de-DE`.
    pub language: &'a str,
    /// Index of the component it is about; `None` for the manifest as a whole.
    pub component: Option<u32>,
    /// [`ManifestText`] or [`ComponentText`] as a number; others are possible.
    pub key: i64,
    /// The text.
    pub text: &'a str,
}

/// The text section of a manifest, checked.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    span: Span<'a>,
    components: Components<'a>,
}

impl<'a> Text<'a> {
    pub(crate) fn read(span: Span<'a>, components: &Components<'a>) -> Result<Self, Error> {
        let text = Self { span, components: *components };
        text.walk(&mut |_| {}).map_err(malformed)?;
        Ok(text)
    }

    /// Gives every text to `visit`, in the order of the encoding.
    pub fn for_each(&self, mut visit: impl FnMut(TextEntry<'a>)) {
        // It was walked when it was read.
        let _checked = self.walk(&mut visit);
    }

    /// A text about the manifest, in the first language that has it.
    #[must_use]
    pub fn manifest_text(&self, which: ManifestText) -> Option<&'a str> {
        self.first(None, which.number())
    }

    /// A text about a component, in the first language that has it.
    #[must_use]
    pub fn component_text(&self, component: u32, which: ComponentText) -> Option<&'a str> {
        self.first(Some(component), which.number())
    }

    fn first(&self, component: Option<u32>, key: i64) -> Option<&'a str> {
        let mut found = None;
        self.for_each(|entry| {
            if found.is_none() && entry.component == component && entry.key == key {
                found = Some(entry.text);
            }
        });
        found
    }

    fn walk(&self, visit: &mut dyn FnMut(TextEntry<'a>)) -> Result<(), Error> {
        let mut component = |source: &mut Source<'a>| {
            let id = ComponentId::read(source);
            self.components.iter().position(|known| known == id)
        };
        walk(self.span, &mut component, visit)
    }
}

/// Every text of a section, whoever lists the components: `component` reads an identifier and finds its index.
pub(crate) fn walk<'a>(
    span: Span<'a>,
    component: &mut dyn FnMut(&mut Source<'a>) -> Option<usize>,
    visit: &mut dyn FnMut(TextEntry<'a>),
) -> Result<(), Error> {
    let source = &mut Source::of(span);
    let mut languages = source.map();
    if languages.remaining() == 0 {
        source.refuse_as(ErrorKind::TextMalformed, span.base);
    }
    while languages.next(source) {
        let position = source.position();
        let language = source.text().as_str();
        if !is_language_tag(language) {
            source.refuse_as(ErrorKind::TextMalformed, position);
        }
        let mut entries = source.map();
        while entries.next(source) {
            let position = source.position();
            if source.peek() != Major::Array {
                let (key, text) = (source.int(), source.text().as_str());
                visit(TextEntry { language, component: None, key, text });
                continue;
            }
            // A component of the text is a component of the manifest.
            let component = component(source).and_then(|index| u32::try_from(index).ok());
            if component.is_none() {
                source.refuse_as(ErrorKind::TextMalformed, position);
            }
            let mut texts = source.map();
            while texts.next(source) {
                let (key, text) = (source.int(), source.text().as_str());
                visit(TextEntry { language, component, key, text });
            }
        }
    }
    source.finish()
}

/// A fault of a text, limits apart, is that of the text.
pub(crate) fn malformed(error: Error) -> Error {
    let is_limit = matches!(error.reason(), Reason::ManifestLimit);
    if is_limit { error } else { Error::new(ErrorKind::TextMalformed, error.position) }
}

/// tag38-ltag: `[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*`.
fn is_language_tag(text: &str) -> bool {
    let fits = |part: &str| (1..=8).contains(&part.len());
    text.split('-').enumerate().all(|(index, part)| {
        fits(part)
            && part.bytes().all(|byte| {
                if index == 0 { byte.is_ascii_alphabetic() } else { byte.is_ascii_alphanumeric() }
            })
    })
}
