//! The power goes away at every flash operation of an update: encrypted, of a table, as one file.

use bootloader::authority::Roots;
use bootloader::layout::Layout;
use device_harness::part::{Deciphering, Symmetric, Tabled};
use device_harness::power::Update;
use trust::encryption::ContentAlgorithm::{A128Ctr, A128Gcm};
use update_protocol::profile::Component::{Firmware, Table};

#[test]
fn boot83_pages_of_4096_bytes_and_words_of_8() {
    Update::of(Firmware).encrypted(A128Gcm).cut_everywhere::<8, 4096, Deciphering>();
}

#[test]
fn boot83_pages_of_512_bytes_and_words_of_32() {
    Update::of(Firmware).encrypted(A128Ctr).cut_everywhere::<32, 512, Deciphering>();
}

#[test]
fn boot85_a_device_that_believes_its_own_key() {
    Update::of(Firmware).encrypted(A128Gcm).by_own_key().cut_everywhere::<8, 4096, Symmetric>();
}

#[test]
fn boot91_pages_of_4096_bytes_and_words_of_8() {
    Update::of(Table).encrypted(A128Gcm).cut_everywhere::<8, 4096, Tabled<Roots>>();
}

#[test]
fn boot91_pages_of_512_bytes_and_words_of_32() {
    Update::of(Table).encrypted(A128Ctr).cut_everywhere::<32, 512, Tabled<Roots>>();
}

#[test]
fn suit66_pages_of_4096_bytes_and_words_of_8() {
    Update::of(Firmware).in_one_file().cut_everywhere::<8, 4096, Layout>();
}

#[test]
fn suit66_encrypted_pages_of_512_bytes_and_words_of_32() {
    Update::of(Firmware).encrypted(A128Gcm).in_one_file().cut_everywhere::<32, 512, Deciphering>();
}
