//! The numbers and names of SUIT, one table each: draft-ietf-suit-manifest-37, and what
//! draft-ietf-suit-trust-domains-12, draft-ietf-suit-update-management-16,
//! draft-ietf-suit-firmware-encryption-26 and draft-ietf-suit-report-18 add to it. Each row names the section that says what the element means.
//! The decoder and the processor take their numbers from here, and what people read takes its names.
//!
//! Names and rules are reached by functions that a device never calls, so that the linker drops them there.

/// A document of the SUIT family.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Document {
    /// draft-ietf-suit-manifest-37
    Manifest,
    /// draft-ietf-suit-trust-domains-12
    TrustDomains,
    /// draft-ietf-suit-update-management-16
    UpdateManagement,
    /// draft-ietf-suit-firmware-encryption-26
    FirmwareEncryption,
    /// draft-ietf-suit-report-18
    Report,
    /// docs/records.md of this project
    Records,
    /// RFC 8949
    Cbor,
}

impl Document {
    /// Short name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "suit-manifest-37",
            Self::TrustDomains => "suit-trust-domains-12",
            Self::UpdateManagement => "suit-update-management-16",
            Self::FirmwareEncryption => "suit-firmware-encryption-26",
            Self::Report => "suit-report-18",
            Self::Records => "docs/records.md",
            Self::Cbor => "RFC 8949",
        }
    }
}

/// Where a rule stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Rule {
    /// The document.
    pub document: Document,
    /// Its section, such as `8.4.9.1`, or its heading where sections have no numbers.
    pub section: &'static str,
}

impl Rule {
    /// The rule in this section.
    #[must_use]
    pub const fn new(document: Document, section: &'static str) -> Self {
        Self { document, section }
    }
}

impl core::fmt::Display for Rule {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} section {}", self.document.name(), self.section)
    }
}

macro_rules! vocabulary {
    ($(#[$doc:meta])* $table:ident {
        $($constant:ident $variant:ident = $number:literal $name:literal $document:ident $section:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $table {
            $(#[doc = $name] $variant = $number,)*
        }

        impl $table {
            $(#[allow(dead_code)] // not every number is matched
            #[doc = concat!("Number of ", $name)] pub(crate) const $constant: i32 = $number;)*

            /// All numbers.
            #[allow(dead_code)] // not every table has a profile
            pub(crate) const NUMBERS: &'static [i32] = &[$($number,)*];

            /// Every one of them, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The one with this number; `None` for a custom or later one.
            #[must_use]
            pub const fn from_number(number: i64) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Its number.
            #[must_use]
            pub const fn number(self) -> i64 {
                self as i64
            }

            /// Its name in the draft, without the prefix that all of its table have.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The section that says what it means.
            #[must_use]
            pub const fn rule(self) -> Rule {
                match self { $(Self::$variant => Rule::new(Document::$document, $section),)* }
            }
        }
    };
}

vocabulary! {
    /// Elements of the envelope; an integrated payload or dependency has a text in the place of a number.
    EnvelopeElement {
        AUTHENTICATION_WRAPPER AuthenticationWrapper = 2 "authentication-wrapper" Manifest "8.3";
        MANIFEST Manifest = 3 "manifest" Manifest "8.4";
        COSWID Coswid = 14 "coswid" UpdateManagement "3.2";
        DEPENDENCY_RESOLUTION DependencyResolution = 15 "dependency-resolution" TrustDomains "5.5";
        PAYLOAD_FETCH PayloadFetch = 16 "payload-fetch" Manifest "8.4.6";
        CANDIDATE_VERIFICATION CandidateVerification = 18 "candidate-verification" TrustDomains "7.1";
        INSTALL Install = 20 "install" Manifest "8.4.6";
        TEXT Text = 23 "text" Manifest "8.4.4";
    }
}

impl EnvelopeElement {
    /// Whether it may be left away: [`ManifestElement::is_severable`], under the same number.
    #[must_use]
    pub const fn is_severable(self) -> bool {
        match ManifestElement::from_number(self.number()) {
            Some(element) => element.is_severable(),
            None => false,
        }
    }
}

vocabulary! {
    /// Elements of the manifest.
    ManifestElement {
        VERSION Version = 1 "manifest-version" Manifest "8.4.1";
        SEQUENCE_NUMBER SequenceNumber = 2 "sequence-number" Manifest "8.4.2";
        COMMON Common = 3 "common" Manifest "8.4.5";
        REFERENCE_URI ReferenceUri = 4 "reference-uri" Manifest "8.4.3";
        COMPONENT_ID ComponentId = 5 "manifest-component-id" TrustDomains "5.2.1";
        SET_VERSION SetVersion = 6 "set-version" UpdateManagement "3.1";
        VALIDATE Validate = 7 "validate" Manifest "8.4.6";
        LOAD Load = 8 "load" Manifest "8.4.6";
        INVOKE Invoke = 9 "invoke" Manifest "8.4.6";
        COSWID Coswid = 14 "coswid" UpdateManagement "3.2";
        DEPENDENCY_RESOLUTION DependencyResolution = 15 "dependency-resolution" TrustDomains "5.5";
        PAYLOAD_FETCH PayloadFetch = 16 "payload-fetch" Manifest "8.4.6";
        CANDIDATE_VERIFICATION CandidateVerification = 18 "candidate-verification" TrustDomains "7.1";
        INSTALL Install = 20 "install" Manifest "8.4.6";
        TEXT Text = 23 "text" Manifest "8.4.4";
        UNINSTALL Uninstall = 24 "uninstall" TrustDomains "6";
    }
}

impl ManifestElement {
    /// Whether it is a command sequence.
    #[must_use]
    pub const fn is_sequence(self) -> bool {
        matches!(
            self,
            Self::Validate
                | Self::Load
                | Self::Invoke
                | Self::DependencyResolution
                | Self::PayloadFetch
                | Self::CandidateVerification
                | Self::Install
                | Self::Uninstall
        )
    }

    /// Whether it may stand in the envelope, with its digest in the manifest (section 8.6). The CDDL of
    /// suit-trust-domains offers candidate-verification to the envelope and forgets its choice in the manifest;
    /// section 7.1 of that document severs it like the others.
    #[must_use]
    pub const fn is_severable(self) -> bool {
        matches!(
            self,
            Self::Coswid
                | Self::DependencyResolution
                | Self::PayloadFetch
                | Self::CandidateVerification
                | Self::Install
                | Self::Text
        )
    }
}

vocabulary! {
    /// Elements of suit-common.
    CommonElement {
        DEPENDENCIES Dependencies = 1 "dependencies" TrustDomains "5.2.2";
        COMPONENTS Components = 2 "components" Manifest "8.4.5";
        SHARED_SEQUENCE SharedSequence = 4 "shared-sequence" Manifest "8.4.5";
    }
}

vocabulary! {
    /// Commands: conditions and directives.
    CommandCode {
        VENDOR VendorIdentifier = 1 "condition vendor-identifier" Manifest "8.4.9.1";
        CLASS ClassIdentifier = 2 "condition class-identifier" Manifest "8.4.9.1";
        IMAGE_MATCH ImageMatch = 3 "condition image-match" Manifest "8.4.9.2";
        USE_BEFORE UseBefore = 4 "condition use-before" UpdateManagement "5.1";
        COMPONENT_SLOT ComponentSlot = 5 "condition component-slot" Manifest "8.4.9.4";
        CHECK_CONTENT CheckContent = 6 "condition check-content" Manifest "8.4.9.3";
        DEPENDENCY_INTEGRITY DependencyIntegrity = 7 "condition dependency-integrity" TrustDomains "5.6.4";
        IS_DEPENDENCY IsDependency = 8 "condition is-dependency" TrustDomains "5.6.3";
        PROCESS_DEPENDENCY ProcessDependency = 11 "process-dependency" TrustDomains "5.6.2";
        SET_COMPONENT_INDEX SetComponentIndex = 12 "set-component-index" Manifest "8.4.10.1";
        ABORT Abort = 14 "condition abort" Manifest "8.4.9.5";
        TRY_EACH TryEach = 15 "try-each" Manifest "8.4.10.2";
        WRITE Write = 18 "write" Manifest "8.4.10.6";
        SET_PARAMETERS SetParameters = 19 "set-parameters" TrustDomains "5.6.1";
        OVERRIDE_PARAMETERS OverrideParameters = 20 "override-parameters" Manifest "8.4.10.3";
        FETCH Fetch = 21 "fetch" Manifest "8.4.10.4";
        COPY Copy = 22 "copy" Manifest "8.4.10.5";
        INVOKE Invoke = 23 "invoke" Manifest "8.4.10.7";
        DEVICE DeviceIdentifier = 24 "condition device-identifier" Manifest "8.4.9.1";
        IMAGE_NOT_MATCH ImageNotMatch = 25 "condition image-not-match" UpdateManagement "5.2";
        MINIMUM_BATTERY MinimumBattery = 26 "condition minimum-battery" UpdateManagement "5.3";
        UPDATE_AUTHORIZED UpdateAuthorized = 27 "condition update-authorized" UpdateManagement "5.4";
        VERSION Version = 28 "condition version" UpdateManagement "5.5";
        WAIT Wait = 29 "wait" UpdateManagement "5.6";
        SWAP Swap = 31 "swap" Manifest "8.4.10.9";
        RUN_SEQUENCE RunSequence = 32 "run-sequence" Manifest "8.4.10.8";
        UNLINK Unlink = 33 "unlink" TrustDomains "5.6.5";
        OVERRIDE_MULTIPLE OverrideMultiple = 34 "override-multiple" UpdateManagement "5.7";
        COPY_PARAMS CopyParams = 35 "copy-params" UpdateManagement "5.8";
    }
}

/// What stands behind the code of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ArgumentForm {
    /// SUIT_Rep_Policy (section 8.4.7): the command takes its input from parameters.
    Policy,
    /// IndexArg (section 8.4.10.1)
    ComponentIndex,
    /// `{+ SUIT_Parameters}`
    Parameters,
    /// `{+ uint => {+ SUIT_Parameters}}` (suit-update-management section 5.7)
    ParametersByComponent,
    /// `{+ uint => [+ int]}` (suit-update-management section 5.8)
    KeysByComponent,
    /// `bstr .cbor SUIT_Command_Sequence`
    Sequence,
    /// `[2* bstr .cbor SUIT_Command_Sequence, ? nil]`
    Alternatives,
}

impl CommandCode {
    /// Whether it is a condition: it has no effect, and its failure may be soft (section 6.4).
    #[must_use]
    pub const fn is_condition(self) -> bool {
        matches!(
            self,
            Self::VendorIdentifier
                | Self::ClassIdentifier
                | Self::ImageMatch
                | Self::UseBefore
                | Self::ComponentSlot
                | Self::CheckContent
                | Self::DependencyIntegrity
                | Self::IsDependency
                | Self::Abort
                | Self::DeviceIdentifier
                | Self::ImageNotMatch
                | Self::MinimumBattery
                | Self::UpdateAuthorized
                | Self::Version
        )
    }

    /// The form of its argument.
    #[must_use]
    pub const fn argument(self) -> ArgumentForm {
        match self {
            Self::SetComponentIndex => ArgumentForm::ComponentIndex,
            Self::TryEach => ArgumentForm::Alternatives,
            Self::RunSequence => ArgumentForm::Sequence,
            Self::SetParameters | Self::OverrideParameters => ArgumentForm::Parameters,
            Self::OverrideMultiple => ArgumentForm::ParametersByComponent,
            Self::CopyParams => ArgumentForm::KeysByComponent,
            _ => ArgumentForm::Policy,
        }
    }

    /// Whether a shared sequence may hold it: conditions, and what does no more than set parameters (section 8.4.5
    /// and SUIT_Shared_Sequence in the CDDL; suit-trust-domains section 8.1 puts set-parameters there; override-multiple
    /// and copy-params are encodings of override-parameters).
    #[must_use]
    pub const fn may_be_shared(self) -> bool {
        self.is_condition() || !matches!(self.argument(), ArgumentForm::Policy)
    }
}

vocabulary! {
    /// Parameters.
    ParameterKey {
        VENDOR_ID VendorId = 1 "vendor-id" Manifest "8.4.8.3";
        CLASS_ID ClassId = 2 "class-id" Manifest "8.4.8.4";
        IMAGE_DIGEST ImageDigest = 3 "image-digest" Manifest "8.4.8.6";
        USE_BEFORE UseBefore = 4 "use-before" UpdateManagement "4.1";
        COMPONENT_SLOT ComponentSlot = 5 "component-slot" Manifest "8.4.8.8";
        STRICT_ORDER StrictOrder = 12 "strict-order" Manifest "8.4.8.14";
        SOFT_FAILURE SoftFailure = 13 "soft-failure" Manifest "8.4.8.15";
        IMAGE_SIZE ImageSize = 14 "image-size" Manifest "8.4.8.7";
        CONTENT Content = 18 "content" Manifest "8.4.8.9";
        ENCRYPTION_INFO EncryptionInfo = 19 "encryption-info" FirmwareEncryption "4";
        URI Uri = 21 "uri" Manifest "8.4.8.10";
        SOURCE_COMPONENT SourceComponent = 22 "source-component" Manifest "8.4.8.11";
        INVOKE_ARGS InvokeArgs = 23 "invoke-args" Manifest "8.4.8.12";
        DEVICE_ID DeviceId = 24 "device-id" Manifest "8.4.8.5";
        FETCH_ARGUMENTS FetchArguments = 25 "fetch-arguments" Manifest "8.4.8.13";
        MINIMUM_BATTERY MinimumBattery = 26 "minimum-battery" UpdateManagement "4.2";
        UPDATE_PRIORITY UpdatePriority = 27 "update-priority" UpdateManagement "4.3";
        VERSION Version = 28 "version" UpdateManagement "4.4";
        WAIT_INFO WaitInfo = 29 "wait-info" UpdateManagement "4.5";
        COMPONENT_METADATA ComponentMetadata = 30 "component-metadata" UpdateManagement "4.6";
    }
}

vocabulary! {
    /// How a version is compared.
    Comparison {
        GREATER Greater = 1 "greater" UpdateManagement "4.4";
        GREATER_EQUAL GreaterEqual = 2 "greater or equal" UpdateManagement "4.4";
        EQUAL Equal = 3 "equal" UpdateManagement "4.4";
        LESSER_EQUAL LesserEqual = 4 "lesser or equal" UpdateManagement "4.4";
        LESSER Lesser = 5 "lesser" UpdateManagement "4.4";
    }
}

vocabulary! {
    /// Events that suit-directive-wait can wait for.
    WaitEventKey {
        AUTHORIZATION Authorization = 1 "authorization" UpdateManagement "4.5";
        POWER Power = 2 "power" UpdateManagement "4.5";
        NETWORK Network = 3 "network" UpdateManagement "4.5";
        OTHER_DEVICE_VERSION OtherDeviceVersion = 4 "other-device-version" UpdateManagement "4.5";
        TIME Time = 5 "time" UpdateManagement "4.5";
        TIME_OF_DAY TimeOfDay = 6 "time-of-day" UpdateManagement "4.5";
        DAY_OF_WEEK DayOfWeek = 7 "day-of-week" UpdateManagement "4.5";
        TIME_OF_DAY_UTC TimeOfDayUtc = 8 "time-of-day-utc" UpdateManagement "4.5";
        DAY_OF_WEEK_UTC DayOfWeekUtc = 9 "day-of-week-utc" UpdateManagement "4.5";
    }
}

vocabulary! {
    /// Elements of SUIT_Component_Metadata.
    MetadataElement {
        DEFAULT_PERMISSIONS DefaultPermissions = 1 "default-permissions" UpdateManagement "4.6.3";
        USER_PERMISSIONS UserPermissions = 2 "user-permissions" UpdateManagement "4.6.4";
        GROUP_PERMISSIONS GroupPermissions = 3 "group-permissions" UpdateManagement "4.6.4";
        ROLE_PERMISSIONS RolePermissions = 4 "role-permissions" UpdateManagement "4.6.4";
        FILE_TYPE FileType = 5 "file-type" UpdateManagement "4.6.5";
        MODIFICATION_TIME ModificationTime = 6 "modification-time" UpdateManagement "4.6.2";
        CREATION_TIME CreationTime = 7 "creation-time" UpdateManagement "4.6.2";
        CREATOR Creator = 8 "creator" UpdateManagement "4.6.1";
    }
}

vocabulary! {
    /// Texts about the manifest as a whole.
    ManifestText {
        MANIFEST_DESCRIPTION ManifestDescription = 1 "manifest-description" Manifest "8.4.4";
        UPDATE_DESCRIPTION UpdateDescription = 2 "update-description" Manifest "8.4.4";
        JSON_SOURCE JsonSource = 3 "manifest-json-source" Manifest "8.4.4";
        YAML_SOURCE YamlSource = 4 "manifest-yaml-source" Manifest "8.4.4";
    }
}

vocabulary! {
    /// Texts about one component.
    ComponentText {
        VENDOR_NAME VendorName = 1 "vendor-name" Manifest "8.4.4";
        MODEL_NAME ModelName = 2 "model-name" Manifest "8.4.4";
        VENDOR_DOMAIN VendorDomain = 3 "vendor-domain" Manifest "8.4.4";
        MODEL_INFO ModelInfo = 4 "model-info" Manifest "8.4.4";
        COMPONENT_DESCRIPTION ComponentDescription = 5 "component-description" Manifest "8.4.4";
        COMPONENT_VERSION ComponentVersion = 6 "component-version" Manifest "8.4.4";
        VERSION_REQUIRED VersionRequired = 7 "version-required" UpdateManagement "3.3";
        CURRENT_VERSION CurrentVersion = 8 "current-version" UpdateManagement "3.4";
    }
}

vocabulary! {
    /// Elements of SUIT_Report.
    ReportElement {
        NONCE Nonce = 2 "nonce" Report "4";
        RECORDS Records = 3 "records" Report "4.1";
        RESULT Result = 4 "result" Report "4.2";
        CAPABILITY_REPORT CapabilityReport = 8 "capability-report" Report "6";
        REFERENCE Reference = 99 "reference" Report "4";
    }
}

vocabulary! {
    /// Elements of the result of a SUIT_Report that is not `true`.
    ReportResultElement {
        CODE Code = 5 "result-code" Report "4.2";
        RECORD Record = 6 "result-record" Report "4.2";
        REASON Reason = 7 "result-reason" Report "4.2";
    }
}

vocabulary! {
    /// SUIT_Report_Reasons.
    ReportReason {
        OK Ok = 0 "ok" Report "4.2";
        CBOR_PARSE CborParse = 1 "cbor-parse" Report "4.2";
        COSE_UNSUPPORTED CoseUnsupported = 2 "cose-unsupported" Report "4.2";
        ALG_UNSUPPORTED AlgUnsupported = 3 "alg-unsupported" Report "4.2";
        UNAUTHORISED Unauthorised = 4 "unauthorised" Report "4.2";
        COMMAND_UNSUPPORTED CommandUnsupported = 5 "command-unsupported" Report "4.2";
        COMPONENT_UNSUPPORTED ComponentUnsupported = 6 "component-unsupported" Report "4.2";
        COMPONENT_UNAUTHORISED ComponentUnauthorised = 7 "component-unauthorised" Report "4.2";
        PARAMETER_UNSUPPORTED ParameterUnsupported = 8 "parameter-unsupported" Report "4.2";
        SEVERING_UNSUPPORTED SeveringUnsupported = 9 "severing-unsupported" Report "4.2";
        CONDITION_FAILED ConditionFailed = 10 "condition-failed" Report "4.2";
        OPERATION_FAILED OperationFailed = 11 "operation-failed" Report "4.2";
        INVOKE_PENDING InvokePending = 12 "invoke-pending" Report "4.2";
    }
}

impl ReportReason {
    /// One sentence on what happened, with a full stop.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Ok => "Nothing has failed.",
            Self::CborParse => "The device could not parse what it received.",
            Self::CoseUnsupported => {
                "The device does not support the structure or a header of the authentication."
            }
            Self::AlgUnsupported => "The device does not support an algorithm.",
            Self::Unauthorised => "The signature or MAC does not hold, or its maker may not do this.",
            Self::CommandUnsupported => "The device does not support a command.",
            Self::ComponentUnsupported => "The device does not have a component.",
            Self::ComponentUnauthorised => "The signer may not name a component.",
            Self::ParameterUnsupported => "The device does not support a parameter.",
            Self::SeveringUnsupported => "The device does not support what was severed.",
            Self::ConditionFailed => "A condition of the manifest failed.",
            Self::OperationFailed => "An operation failed.",
            Self::InvokePending => "The image is about to run; whether it works is not known yet.",
        }
    }
}

vocabulary! {
    /// Elements of SUIT_Capability_Report.
    CapabilityElement {
        COMPONENTS Components = 1 "component-capabilities" Report "6";
        COMMANDS Commands = 2 "command-capabilities" Report "6";
        PARAMETERS Parameters = 3 "parameters-capabilities" Report "6";
        CRYPT_ALGO CryptAlgo = 4 "crypt-algo-capabilities" Report "6";
        ENVELOPE Envelope = 5 "envelope-capabilities" Report "6";
        MANIFEST Manifest = 6 "manifest-capabilities" Report "6";
        COMMON Common = 7 "common-capabilities" Report "6";
        TEXT Text = 8 "text-capabilities" Report "6";
        TEXT_COMPONENT TextComponent = 9 "text-component-capabilities" Report "6";
        DEPENDENCY Dependency = 10 "dependency-capabilities" Report "6";
    }
}

impl CapabilityElement {
    /// Whether a capability report has to have it.
    #[must_use]
    pub const fn is_required(self) -> bool {
        matches!(self, Self::Components | Self::Commands | Self::Parameters | Self::CryptAlgo)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The numbers that the CDDL of the three documents assigns, in their order; lines are only added.
    #[test]
    fn the_numbers_are_those_of_the_drafts() {
        fn numbers<T: Copy>(all: &[T], number: fn(T) -> i64) -> Vec<i64> {
            all.iter().map(|one| number(*one)).collect()
        }
        assert_eq!(numbers(EnvelopeElement::ALL, EnvelopeElement::number), [2, 3, 14, 15, 16, 18, 20, 23]);
        assert_eq!(
            numbers(ManifestElement::ALL, ManifestElement::number),
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15, 16, 18, 20, 23, 24]
        );
        assert_eq!(numbers(CommonElement::ALL, CommonElement::number), [1, 2, 4]);
        assert_eq!(
            numbers(CommandCode::ALL, CommandCode::number),
            [
                1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 31,
                32, 33, 34, 35
            ]
        );
        assert_eq!(
            numbers(ParameterKey::ALL, ParameterKey::number),
            [1, 2, 3, 4, 5, 12, 13, 14, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]
        );
        assert_eq!(numbers(Comparison::ALL, Comparison::number), [1, 2, 3, 4, 5]);
        assert_eq!(numbers(WaitEventKey::ALL, WaitEventKey::number), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(numbers(MetadataElement::ALL, MetadataElement::number), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(numbers(ReportElement::ALL, ReportElement::number), [2, 3, 4, 8, 99]);
        assert_eq!(numbers(ReportResultElement::ALL, ReportResultElement::number), [5, 6, 7]);
        let reasons: Vec<i64> = (0..=12).collect();
        assert_eq!(numbers(ReportReason::ALL, ReportReason::number), reasons);
        let capabilities: Vec<i64> = (1..=10).collect();
        assert_eq!(numbers(CapabilityElement::ALL, CapabilityElement::number), capabilities);
    }

    #[test]
    fn numbers_and_names_lead_back() {
        let names: BTreeSet<_> = CommandCode::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), CommandCode::ALL.len());
        for number in -300..300 {
            let found = CommandCode::from_number(number);
            assert_eq!(found, CommandCode::ALL.iter().copied().find(|code| code.number() == number));
            assert_eq!(found.is_some_and(CommandCode::is_condition), matches!(number, 1..=8 | 14 | 24..=28));
            let key = ParameterKey::from_number(number);
            assert_eq!(key, ParameterKey::ALL.iter().copied().find(|key| key.number() == number));
        }
        assert_eq!(CommandCode::Copy.rule().to_string(), "suit-manifest-37 section 8.4.10.5");
    }

    /// SUIT_Shared_Sequence in the CDDL, and what only sets parameters.
    #[test]
    fn shared_sequences_hold_no_effects() {
        let barred: Vec<_> =
            CommandCode::ALL.iter().filter(|code| !code.may_be_shared()).map(|code| code.number()).collect();
        assert_eq!(barred, [11, 18, 21, 22, 23, 29, 31, 33]);
    }
}
