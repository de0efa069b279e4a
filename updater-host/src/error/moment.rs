//! When a person stopped the host.

/// When a person stopped the host, and what that means for the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    /// Nothing has been sent.
    BeforeTransfer,
    /// The device has a list or the envelope, and nothing of the image.
    BeforeImage,
    /// The device has the table of a release of both, and nothing of its firmware.
    BetweenHalves,
    /// In the middle of the image.
    Transfer {
        /// Image bytes that the device has taken.
        taken: u32,
        total: u32,
    },
    /// The image is installed; the device continues by itself.
    Restart,
    /// In a command that gives a device one thing.
    Command,
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BeforeTransfer => f.write_str("before anything was sent"),
            Self::BeforeImage => f.write_str("before the image was sent; the device keeps its active image"),
            Self::BetweenHalves => f.write_str(
                "after the table was sent, and before the firmware; the device keeps what it runs, and the table waits for its \
                 firmware",
            ),
            Self::Transfer { taken, total } => {
                write!(
                    f,
                    "after {taken} of {total} bytes; the device keeps its active image, and what it has written of them"
                )
            }
            Self::Command => f.write_str("before the device reported the result"),
            Self::Restart => {
                f.write_str("while the device starts the new image; the device continues by itself")
            }
        }
    }
}
