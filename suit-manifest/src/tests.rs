//! The crate's tests, by what they attack.

mod author;
mod blocks;
mod both;
mod bounds;
mod decrypting;
mod diagnostic;
mod envelope;
mod hostile;
mod integrated;
mod manifest;
mod members;
mod oracle;
mod own_key;
mod processor;
mod published;
mod report;
mod requirements;
mod second_opinions;
mod support;
mod tables;
mod tree;
mod unsupported;
mod vectors;
mod walk;
