//! Every limit of the decoder and the command processor, in one place. The size of an envelope, the number of
//! components, the nesting and the steps of a run have an error each; an excess of any other limit is
//! [`crate::ErrorKind::Malformed`] with `TooLong`, `TooMany` or `TooDeep`, and the reason `manifest-limit`.

/// Bytes of an envelope that a device takes (the head page area of a slot, docs/flash-layout.md).
pub const MAX_ENVELOPE_HEAD_LEN: usize = 4096;

/// Bytes of an envelope anywhere (docs/server-api.md).
pub const MAX_ENVELOPE_LEN: usize = 64 * 1024;

/// Bytes of everything that is integrated in an envelope, on hosts; the rest of it has at most [`MAX_ENVELOPE_LEN`].
pub const MAX_INTEGRATED_LEN: usize = 64 * 1024 * 1024;

/// Components of one manifest. The processor keeps parameters for each of them.
pub const MAX_COMPONENTS: usize = 4;

/// Byte strings in one component identifier.
pub const MAX_COMPONENT_SEGMENTS: u32 = 4;

/// Bytes of one byte string in a component identifier.
pub const MAX_COMPONENT_SEGMENT_LEN: usize = 32;

/// Sequences inside each other, the section itself included: a section, a try-each in it, and two more.
pub const MAX_NESTING: usize = 4;

/// Commands of one sequence.
pub const MAX_COMMANDS: u32 = 64;

/// Sequences of one try-each, nil included.
pub const MAX_ALTERNATIVES: u32 = 8;

/// Commands that one run of shared sequence and section executes; a command that applies to several components
/// counts once for each.
pub const MAX_STEPS: u16 = 256;

/// Bytes of a URI.
pub const MAX_URI_LEN: usize = 256;

/// Numbers of a version (suit-update-management section 4.4 needs five).
pub const MAX_VERSION_NUMBERS: u32 = 8;

/// Bytes of suit-parameter-content: "it should be small" (draft-ietf-suit-manifest-37 section 8.4.8.9).
pub const MAX_CONTENT_LEN: usize = 1024;

/// Envelopes inside each other: an integrated dependency, and its own.
pub const MAX_DEPENDENCY_DEPTH: usize = 4;

/// Envelopes inside one file that a host opens, at any depth.
pub const MAX_DEPENDENCIES: u32 = 32;

/// Components of one manifest, and entries of its list of dependencies, that a host reads to show them.
pub const MAX_COMPONENTS_READ: u32 = 256;

/// Elements of an outline. What is beyond is left out, and the outline says so.
pub const MAX_OUTLINE_ELEMENTS: usize = 16 * 1024;

/// Bytes of text of an outline.
pub const MAX_OUTLINE_LEN: usize = 1024 * 1024;

/// Bytes of the exact notation of a file: that of an image of nearly 16 MiB, which is twice as long.
pub const MAX_NOTATION_LEN: usize = 32 * 1024 * 1024;

/// Items of CBOR that are looked at to show a file.
pub const MAX_NOTATION_ITEMS: usize = 1024 * 1024;
