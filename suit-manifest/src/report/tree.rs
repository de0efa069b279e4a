//! SUIT_Report (draft-ietf-suit-report-18) as named types, whatever of it a device writes, and its container: a COSE_Mac0 with
//! the key of the device (section 8). For hosts: what the CDDL of the draft allows is read, what it does not is refused, at
//! its byte. Elements that no document names are kept as they stand.

mod said;

pub use said::ReportOutcome;

use trust::cbor::{Major, Span};
use trust::{Kid, read_attached_mac0, verify_attached_mac0};

use crate::argument::AnyDigest;
use crate::entries::{Identifier, ParameterTree, read_identifier, read_parameter_entries};
use crate::error::{Error, ErrorKind};
use crate::reason::Reason;
use crate::source::Source;
use crate::vocabulary::{CapabilityElement, ReportElement, ReportResultElement};

/// Items of a SUIT_Record without extensions.
const RECORD_LEN: u32 = 5;
/// system-component-id
const SYSTEM_COMPONENT_ID: i64 = 0;

/// A report.
#[derive(Clone, Debug)]
pub struct ReportTree<'a> {
    /// suit-reference: the reference URI of the manifest; a device of this project leaves it empty.
    pub uri: &'a str,
    /// suit-reference: the digest of the manifest. A device of this project has zeros where no manifest authenticated.
    pub digest: AnyDigest<'a>,
    /// suit-report-nonce
    pub nonce: Option<&'a [u8]>,
    /// suit-report-records, in their order.
    pub records: Vec<RecordEntry<'a>>,
    /// suit-report-result
    pub result: ReportResult<'a>,
    /// suit-report-capability-report
    pub capabilities: Option<CapabilityTree<'a>>,
    /// Elements with numbers that the draft does not name.
    pub extensions: Vec<(i64, Span<'a>)>,
}

/// An entry of suit-report-records (section 4.1).
#[derive(Clone, Debug)]
pub enum RecordEntry<'a> {
    /// What a command did.
    Record(RecordTree<'a>),
    /// What was measured.
    System(SystemProperties<'a>),
}

/// system-property-claims
#[derive(Clone, Debug)]
pub struct SystemProperties<'a> {
    /// The component that has these properties.
    pub component: Identifier<'a>,
    /// One or more.
    pub properties: Vec<ParameterTree<'a>>,
}

/// SUIT_Record (section 3).
#[derive(Clone, Debug)]
pub struct RecordTree<'a> {
    /// The way to the dependency; empty for the root manifest.
    pub manifest_id: Vec<u64>,
    /// The command sequence; of a device of this project [`crate::report::NO_SECTION`] if it is none, and
    /// [`crate::report::SHARED_SECTION`].
    pub section: i64,
    /// Byte of the command sequence.
    pub offset: u64,
    /// Index of the component.
    pub component: u64,
    /// What was measured.
    pub properties: Vec<ParameterTree<'a>>,
    /// Items behind them.
    pub extensions: Vec<Span<'a>>,
}

/// suit-report-result (section 4.2).
#[derive(Clone, Debug)]
pub enum ReportResult<'a> {
    /// `true`
    Success,
    /// Why it is not.
    Other {
        /// Code of the device: [`Reason::code`] or [`crate::report::Progress::code`] where it is one of this project.
        code: i64,
        /// Where.
        record: RecordTree<'a>,
        /// Number of the reason.
        reason: i64,
    },
}

/// SUIT_Capability_Report (section 6).
#[derive(Clone, Debug)]
pub struct CapabilityTree<'a> {
    /// The components.
    pub components: Vec<ComponentCapability<'a>>,
    /// The other lists that the draft names, in the order of their numbers.
    pub lists: Vec<(CapabilityElement, Vec<i64>)>,
    /// Lists under the path of an element: the numbers that lead to it.
    pub paths: Vec<(Vec<i64>, Vec<i64>)>,
    /// Elements with numbers that the draft does not name.
    pub extensions: Vec<(i64, Span<'a>)>,
}

/// SUIT_Component_Capability
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ComponentCapability<'a> {
    /// The identifier.
    pub identifier: Identifier<'a>,
    /// Whether it stands for every component that begins so.
    pub is_prefix: bool,
}

/// Why a report says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReportError {
    /// The container does not authenticate with this key, or what is in it is no report. The position is a byte of the
    /// container.
    Refused(Error),
    /// Its nonce is not that of the question: it may be an old one.
    Nonce,
}

impl ReportError {
    /// The stable reason.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::Refused(error) => error.reason(),
            Self::Nonce => Reason::ReportNonce,
        }
    }
}

impl std::error::Error for ReportError {}

impl std::fmt::Display for ReportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Nonce => f.write_str(self.reason().message()),
        }
    }
}

/// Opens a report of the device that has this key. `nonce` is that of the question, of which no bytes ask for no nonce;
/// `None` takes any, and so a report of any time.
///
/// # Errors
/// [`ReportError::Refused`] with [`ErrorKind::Trust`] for the container, and those of [`ReportTree::read`];
/// [`ReportError::Nonce`]
pub fn open_report<'a>(
    container: &'a [u8],
    kid: &Kid,
    key: &[u8; 32],
    nonce: Option<&[u8]>,
) -> Result<ReportTree<'a>, ReportError> {
    let payload = verify_attached_mac0(container, kid, key);
    let payload = payload.map_err(|error| ReportError::Refused(Error::trust(error, 0)))?;
    let report = ReportTree::read(payload).map_err(ReportError::Refused)?;
    match nonce {
        Some(asked) if report.nonce.unwrap_or_default() != asked => Err(ReportError::Nonce),
        _ => Ok(report),
    }
}

/// Reads a report and the kid that its container names, **nothing of it verified**: to show a file.
///
/// # Errors
/// [`ErrorKind::Trust`] for a container of another form; those of [`ReportTree::read`]
pub fn show_report(container: &[u8]) -> Result<(Option<Kid>, ReportTree<'_>), Error> {
    let (kid, payload) = read_attached_mac0(container).map_err(|error| Error::trust(error, 0))?;
    Ok((kid, ReportTree::read(payload)?))
}

impl<'a> ReportTree<'a> {
    /// Reads a SUIT_Report without its container (section 4).
    ///
    /// # Errors
    /// [`ErrorKind::Trust`] for what the CDDL does not allow; [`ErrorKind::DigestLength`] and
    /// [`ErrorKind::DigestAlgorithmUnsupported`]; [`ErrorKind::ParameterUnsupported`] for a URI among properties that is too
    /// long.
    pub fn read(report: Span<'a>) -> Result<Self, Error> {
        Self::read_members(report).map_err(|error| {
            // It is a record, and no manifest.
            let ErrorKind::Malformed(kind) = error.kind else { return error };
            Error::new(ErrorKind::Trust(kind), error.position)
        })
    }

    fn read_members(report: Span<'a>) -> Result<Self, Error> {
        let source = &mut Source::of(report);
        let (mut nonce, mut capabilities) = (None, None);
        let (mut reference, mut records, mut result) = (None, None, None);
        let mut extensions = Vec::new();
        let mut entries = source.map();
        while entries.next(source) {
            let number = source.int();
            match ReportElement::from_number(number) {
                Some(ReportElement::Nonce) => nonce = Some(source.bytes()),
                Some(ReportElement::Records) => records = Some(read_records(source)),
                Some(ReportElement::Result) => result = Some(read_result(source)),
                Some(ReportElement::CapabilityReport) => capabilities = Some(read_capabilities(source)),
                Some(ReportElement::Reference) => {
                    source.array_of(2);
                    reference = Some((source.text().as_str(), AnyDigest::read(source)));
                }
                // $$SUIT_Report_Extensions
                None => extensions.push((number, read_item(source))),
            }
        }
        source.finish()?;
        let (Some((uri, digest)), Some(records), Some(result)) = (reference, records, result) else {
            return Err(Error::new(ErrorKind::Malformed(trust::ErrorKind::MissingKey), source.position()));
        };
        Ok(Self { uri, digest, nonce, records, result, capabilities, extensions })
    }
}

/// `[* SUIT_Record / system-property-claims ]` (section 4.1)
fn read_records<'a>(source: &mut Source<'a>) -> Vec<RecordEntry<'a>> {
    let mut records = Vec::new();
    let mut items = source.array();
    while items.next(source) {
        records.push(match source.peek() {
            Major::Map => RecordEntry::System(read_system(source)),
            _ => RecordEntry::Record(read_record(source)),
        });
    }
    records
}

/// `{ system-component-id => SUIT_Component_Identifier, + SUIT_Parameters }`
fn read_system<'a>(source: &mut Source<'a>) -> SystemProperties<'a> {
    let start = source.position();
    let mut entries = source.map();
    if entries.remaining() < 2 {
        source.refuse(trust::ErrorKind::MissingKey, start);
    }
    let mut component = Identifier::new();
    if entries.next(source) {
        let position = source.position();
        if source.int() != SYSTEM_COMPONENT_ID {
            source.refuse(trust::ErrorKind::MissingKey, position);
        }
        component = read_identifier(source);
    }
    SystemProperties { component, properties: read_parameter_entries(source, &mut entries) }
}

/// Section 3.
fn read_record<'a>(source: &mut Source<'a>) -> RecordTree<'a> {
    let start = source.position();
    let items = source.array().remaining();
    let Some(behind) = items.checked_sub(RECORD_LEN) else {
        source.refuse(trust::ErrorKind::UnexpectedType, start);
        return read_record_items(source, 0);
    };
    read_record_items(source, behind)
}

fn read_record_items<'a>(source: &mut Source<'a>, behind: u32) -> RecordTree<'a> {
    let mut manifest_id = Vec::new();
    let mut items = source.array();
    while items.next(source) {
        manifest_id.push(source.uint());
    }
    let (section, offset, component) = (source.int(), source.uint(), source.uint());
    let mut entries = source.map();
    let properties = read_parameter_entries(source, &mut entries);
    let mut extensions = Vec::new();
    // $$SUIT_Record_Extensions; as many as bytes are left at most.
    while source.check().is_ok() && extensions.len() < usize::try_from(behind).unwrap_or(0) {
        extensions.push(read_item(source));
    }
    RecordTree { manifest_id, section, offset, component, properties, extensions }
}

/// Section 4.2.
fn read_result<'a>(source: &mut Source<'a>) -> ReportResult<'a> {
    let start = source.position();
    if source.peek() == Major::Simple {
        if !source.bool() {
            source.refuse(trust::ErrorKind::OutOfRange, start);
        }
        return ReportResult::Success;
    }
    let (mut code, mut record, mut reason) = (None, None, None);
    let mut entries = source.map();
    loop {
        let position = source.position();
        if !entries.next(source) {
            break;
        }
        match ReportResultElement::from_number(source.int()) {
            Some(ReportResultElement::Code) => code = Some(source.int()),
            Some(ReportResultElement::Record) => record = Some(read_record(source)),
            Some(ReportResultElement::Reason) => reason = Some(source.int()),
            None => source.refuse(trust::ErrorKind::UnknownKey, position),
        }
    }
    match (code, record, reason) {
        (Some(code), Some(record), Some(reason)) => ReportResult::Other { code, record, reason },
        _ => {
            source.refuse(trust::ErrorKind::MissingKey, start);
            ReportResult::Success
        }
    }
}

/// Section 6.
fn read_capabilities<'a>(source: &mut Source<'a>) -> CapabilityTree<'a> {
    let start = source.position();
    let (mut components, mut lists, mut paths, mut extensions) = (None, Vec::new(), Vec::new(), Vec::new());
    let mut entries = source.map();
    while entries.next(source) {
        if source.peek() == Major::Array {
            paths.push((read_numbers(source), read_numbers(source)));
            continue;
        }
        let number = source.int();
        match CapabilityElement::from_number(number) {
            Some(CapabilityElement::Components) => components = Some(read_component_capabilities(source)),
            Some(element) => lists.push((element, read_numbers(source))),
            // $$SUIT_Capability_Report_Extensions
            None => extensions.push((number, read_item(source))),
        }
    }
    let has = |element: &CapabilityElement| match element {
        CapabilityElement::Components => components.is_some(),
        element => lists.iter().any(|(known, _)| known == element),
    };
    if CapabilityElement::ALL.iter().any(|element| element.is_required() && !has(element)) {
        source.refuse(trust::ErrorKind::MissingKey, start);
    }
    CapabilityTree { components: components.unwrap_or_default(), lists, paths, extensions }
}

/// `[+ [* bstr, ? true]]`
fn read_component_capabilities<'a>(source: &mut Source<'a>) -> Vec<ComponentCapability<'a>> {
    let mut capabilities = Vec::new();
    let mut items = source.array_within(1, u32::MAX);
    while items.next(source) {
        let (mut identifier, mut is_prefix) = (Identifier::new(), false);
        let mut segments = source.array();
        while segments.next(source) {
            let position = source.position();
            if source.peek() != Major::Simple {
                identifier.push(source.bytes());
                continue;
            }
            // Nothing but `true`, and nothing behind it.
            is_prefix = source.bool();
            if !is_prefix || segments.remaining() != 0 {
                source.refuse(trust::ErrorKind::OutOfRange, position);
            }
        }
        capabilities.push(ComponentCapability { identifier, is_prefix });
    }
    capabilities
}

/// `[+ int]`
fn read_numbers(source: &mut Source<'_>) -> Vec<i64> {
    let mut numbers = Vec::new();
    let mut items = source.array_within(1, u32::MAX);
    while items.next(source) {
        numbers.push(source.int());
    }
    numbers
}

fn read_item<'a>(source: &mut Source<'a>) -> Span<'a> {
    let base = source.position();
    Span { base, bytes: source.item() }
}
