//! What the features of a board make of its loader: what of SUIT it takes, on whose word it installs, and whether it reports.
//! A board with one kind of loader names its types itself.

/// What of SUIT the loader takes: images as they are, or also those that are encrypted for the device (feature `decrypting`).
#[cfg(feature = "decrypting")]
pub type Profile = bootloader::receive::Decrypting;
/// What of SUIT the loader takes: images as they are, or also those that are encrypted for the device (feature `decrypting`).
#[cfg(not(feature = "decrypting"))]
pub type Profile = bootloader::receive::Plain;

/// On whose word it installs: that of the maker's roots, or of the device's own key (feature `own-key`).
#[cfg(feature = "own-key")]
pub type Authority = bootloader::authority::OwnKey;
/// On whose word it installs: that of the maker's roots, or of the device's own key (feature `own-key`).
#[cfg(not(feature = "own-key"))]
pub type Authority = bootloader::authority::Roots;

/// Whether it reports: a device with such a key does, under it.
#[cfg(feature = "own-key")]
pub type Reports = bootloader::reporting::Authenticated;
/// Whether it reports: a device with such a key does, under it.
#[cfg(not(feature = "own-key"))]
pub type Reports = bootloader::reporting::Silent;
