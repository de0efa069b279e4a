//! How a person names a bus: `udp-multicast`, `slcan:/dev/ttyACM0@115200`, `slcan:tcp:localhost:3333`,
//! `slcan:unix:/run/board.sock`, `socketcan:can0`, each with options after `?`.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;

/// python-can's group for IPv4.
const DEFAULT_GROUP: Ipv4Addr = Ipv4Addr::new(239, 74, 163, 2);
/// python-can's port.
const DEFAULT_PORT: u16 = 43113;
const DEFAULT_BAUD: u32 = 115_200;
/// Bit rates of the digits of the `S` command.
const SPEEDS: [(&str, u32); 9] = [
    ("10k", 10_000),
    ("20k", 20_000),
    ("50k", 50_000),
    ("100k", 100_000),
    ("125k", 125_000),
    ("250k", 250_000),
    ("500k", 500_000),
    ("800k", 800_000),
    ("1M", 1_000_000),
];

/// Where a bus is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BusAddress {
    /// `udp-multicast[:group[:port]][?interface=IPV4&ttl=N&fd]`
    UdpMulticast(UdpMulticastAddress),
    /// `slcan:<device>[@baud]`, `slcan:tcp:<host>:<port>`, `slcan:unix:<path>`, `[?speed=500k&data=2M&fd]`
    Slcan(SlcanAddress),
    /// `socketcan:<interface>[?fd]`, Linux only
    SocketCan(SocketCanAddress),
}

/// A group of processes that pass frames to each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UdpMulticastAddress {
    /// IPv4 multicast group.
    pub group: Ipv4Addr,
    /// UDP port.
    pub port: u16,
    /// Address of the network interface; loopback unless said otherwise.
    pub interface: Ipv4Addr,
    /// How many routers a frame may pass; 0 stays on this machine.
    pub ttl: u32,
    /// Whether CAN FD frames may be sent.
    pub fd: bool,
}

/// An slcan adapter, or a node on a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlcanAddress {
    /// Where it is.
    pub peer: SlcanPeer,
    /// Bit rate of the bus. Without one a serial adapter listens for it, and a line over TCP or a Unix socket is taken for
    /// one without an adapter.
    pub speed: Option<SlcanSpeed>,
    /// Data bit rate of CAN FD. Without one the adapter keeps its own, and frames are paced at the nominal bit rate.
    pub data: Option<SlcanDataSpeed>,
    /// Whether CAN FD frames may be sent.
    pub fd: bool,
}

/// A bit rate that an adapter can be set to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlcanSpeed(u8);

impl SlcanSpeed {
    /// The bit rate of a digit of the `S` command, 0 to 8.
    #[must_use]
    pub fn of_digit(digit: u8) -> Option<Self> {
        (usize::from(digit) < SPEEDS.len()).then_some(Self(digit))
    }

    /// The digit of the `S` command.
    #[must_use]
    pub const fn digit(self) -> u8 {
        self.0
    }

    /// Bits per second.
    #[must_use]
    pub fn bit_rate(self) -> u32 {
        SPEEDS.get(usize::from(self.0)).map_or(0, |(_, rate)| *rate)
    }
}

/// A data bit rate that an adapter for CAN FD can be set to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlcanDataSpeed(u8);

impl SlcanDataSpeed {
    /// The digit of the `Y` command: Mbit/s.
    #[must_use]
    pub const fn digit(self) -> u8 {
        self.0
    }

    /// Bits per second.
    #[must_use]
    pub const fn bit_rate(self) -> u32 {
        self.0 as u32 * 1_000_000
    }
}

/// `1M` to `8M`
impl FromStr for SlcanDataSpeed {
    type Err = BusAddressError;

    fn from_str(text: &str) -> Result<Self, BusAddressError> {
        let digit = text.strip_suffix(['M', 'm']).and_then(|digit| digit.parse().ok());
        digit.filter(|digit| (1..=8).contains(digit)).map(Self).ok_or_else(|| BusAddressError::Invalid {
            expected: "a data bit rate (1M to 8M)",
            found: text.to_owned(),
        })
    }
}

impl fmt::Display for SlcanDataSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}M", self.0)
    }
}

/// `500k`, `1M`, or the digit of the `S` command.
impl FromStr for SlcanSpeed {
    type Err = BusAddressError;

    fn from_str(text: &str) -> Result<Self, BusAddressError> {
        let named = SPEEDS.iter().position(|(name, _)| name.eq_ignore_ascii_case(text));
        let digit = named.and_then(|at| u8::try_from(at).ok()).or_else(|| text.parse().ok());
        digit.and_then(Self::of_digit).ok_or_else(|| BusAddressError::Invalid {
            expected: "a bit rate (10k, 20k, 50k, 100k, 125k, 250k, 500k, 800k, 1M) or a digit from 0 to 8",
            found: text.to_owned(),
        })
    }
}

impl fmt::Display for SlcanSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SPEEDS.get(usize::from(self.0)).map_or("", |(name, _)| name))
    }
}

/// Where an slcan peer is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SlcanPeer {
    /// A serial device.
    Serial {
        /// Its path or name.
        path: String,
        /// Of the serial line, bits per second.
        baud: u32,
    },
    /// `host:port`
    Tcp(String),
    /// A Unix stream socket.
    Unix(PathBuf),
}

/// A network interface of the kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketCanAddress {
    /// Its name, `can0`.
    pub interface: String,
    /// Whether CAN FD frames may be sent.
    pub fd: bool,
}

/// Why a text is not a bus address.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BusAddressError {
    /// No such kind.
    #[error(
        "\"{0}\" is no kind of bus; there are udp-multicast, slcan:<device>, slcan:tcp:<host>:<port>, slcan:unix:<path> and socketcan:<interface>"
    )]
    Kind(String),
    /// Something is missing.
    #[error("the bus address lacks {0}")]
    Missing(&'static str),
    /// A part has the wrong form.
    #[error("\"{found}\" in the bus address is not {expected}")]
    Invalid {
        /// The expected form.
        expected: &'static str,
        /// The text.
        found: String,
    },
    /// This kind of bus has no such option.
    #[error("a {kind} bus has no option \"{option}\"")]
    Option {
        /// Kind of the bus.
        kind: &'static str,
        /// The option.
        option: String,
    },
}

impl BusAddress {
    /// Whether CAN FD frames may be sent.
    #[must_use]
    pub const fn is_fd(&self) -> bool {
        match self {
            Self::UdpMulticast(address) => address.fd,
            Self::Slcan(address) => address.fd,
            Self::SocketCan(address) => address.fd,
        }
    }
}

impl Default for UdpMulticastAddress {
    fn default() -> Self {
        Self { group: DEFAULT_GROUP, port: DEFAULT_PORT, interface: Ipv4Addr::LOCALHOST, ttl: 0, fd: false }
    }
}

impl Default for BusAddress {
    fn default() -> Self {
        Self::UdpMulticast(UdpMulticastAddress::default())
    }
}

impl FromStr for BusAddress {
    type Err = BusAddressError;

    fn from_str(text: &str) -> Result<Self, BusAddressError> {
        let (place, options) = text.split_once('?').unwrap_or((text, ""));
        let options = options.split('&').filter(|option| !option.is_empty());
        let options = options.map(|option| option.split_once('=').unwrap_or((option, "true")));
        let (kind, rest) = place.split_once(':').unwrap_or((place, ""));
        match kind {
            "udp-multicast" => udp_multicast(rest, options).map(Self::UdpMulticast),
            "slcan" => slcan(rest, options).map(Self::Slcan),
            "socketcan" => socketcan(rest, options).map(Self::SocketCan),
            _ => Err(BusAddressError::Kind(kind.to_owned())),
        }
    }
}

fn parsed<T: FromStr>(found: &str, expected: &'static str) -> Result<T, BusAddressError> {
    found.parse().map_err(|_| BusAddressError::Invalid { expected, found: found.to_owned() })
}

fn udp_multicast<'t>(
    rest: &str,
    options: impl Iterator<Item = (&'t str, &'t str)>,
) -> Result<UdpMulticastAddress, BusAddressError> {
    let mut address = UdpMulticastAddress::default();
    let mut ttl = None;
    let (group, port) = rest.split_once(':').unwrap_or((rest, ""));
    if !group.is_empty() {
        address.group = parsed(group, "an IPv4 multicast group")?;
    }
    if !address.group.is_multicast() {
        return Err(BusAddressError::Invalid {
            expected: "an IPv4 multicast group",
            found: group.to_owned(),
        });
    }
    if !port.is_empty() {
        address.port = parsed(port, "a UDP port")?;
    }
    for (option, value) in options {
        match option {
            "interface" => {
                address.interface = parsed(value, "the IPv4 address of an interface")?;
                if address.interface.is_unspecified() {
                    return Err(BusAddressError::Invalid {
                        expected: "the IPv4 address of one interface",
                        found: value.to_owned(),
                    });
                }
            }
            "ttl" => ttl = Some(u32::from(parsed::<u8>(value, "a time to live, 0 to 255")?)),
            "fd" => address.fd = parsed(value, "true or false")?,
            _ => return Err(BusAddressError::Option { kind: "udp-multicast", option: option.to_owned() }),
        }
    }
    // A named interface is meant to reach its network, and nothing beyond it.
    address.ttl = ttl.unwrap_or(u32::from(!address.interface.is_loopback()));
    Ok(address)
}

fn slcan<'t>(
    rest: &str,
    options: impl Iterator<Item = (&'t str, &'t str)>,
) -> Result<SlcanAddress, BusAddressError> {
    let peer = if let Some(host) = rest.strip_prefix("tcp:") {
        let (name, port) = host.rsplit_once(':').ok_or(BusAddressError::Missing("the TCP port"))?;
        if name.is_empty() {
            return Err(BusAddressError::Missing("the TCP host"));
        }
        let _: u16 = parsed(port, "a TCP port")?;
        SlcanPeer::Tcp(host.to_owned())
    } else if let Some(path) = rest.strip_prefix("unix:") {
        if path.is_empty() {
            return Err(BusAddressError::Missing("the path of the socket"));
        }
        SlcanPeer::Unix(PathBuf::from(path))
    } else {
        let (path, baud) = match rest.rsplit_once('@') {
            Some((path, baud)) => (path, parsed(baud, "a baud rate")?),
            None => (rest, DEFAULT_BAUD),
        };
        if path.is_empty() {
            return Err(BusAddressError::Missing("the serial device"));
        }
        SlcanPeer::Serial { path: path.to_owned(), baud }
    };
    let mut address = SlcanAddress { peer, speed: None, data: None, fd: false };
    for (option, value) in options {
        match option {
            "speed" => {
                address.speed = Some(value.parse()?);
            }
            "data" => address.data = Some(value.parse()?),
            "fd" => address.fd = parsed(value, "true or false")?,
            _ => return Err(BusAddressError::Option { kind: "slcan", option: option.to_owned() }),
        }
    }
    if address.data.is_some() {
        if !address.fd {
            return Err(BusAddressError::Missing("the option fd, which data needs"));
        }
        if address.speed.is_none() && !matches!(address.peer, SlcanPeer::Serial { .. }) {
            return Err(BusAddressError::Missing("the option speed, which data needs"));
        }
    }
    Ok(address)
}

fn socketcan<'t>(
    rest: &str,
    options: impl Iterator<Item = (&'t str, &'t str)>,
) -> Result<SocketCanAddress, BusAddressError> {
    if rest.is_empty() {
        return Err(BusAddressError::Missing("the name of the interface"));
    }
    let mut address = SocketCanAddress { interface: rest.to_owned(), fd: false };
    for (option, value) in options {
        match option {
            "fd" => address.fd = parsed(value, "true or false")?,
            _ => return Err(BusAddressError::Option { kind: "socketcan", option: option.to_owned() }),
        }
    }
    Ok(address)
}

/// The full form; it parses to the same address.
impl fmt::Display for BusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = Vec::new();
        match self {
            Self::UdpMulticast(address) => {
                write!(f, "udp-multicast:{}:{}", address.group, address.port)?;
                options.push(format!("interface={}", address.interface));
                options.push(format!("ttl={}", address.ttl));
            }
            Self::Slcan(address) => {
                match &address.peer {
                    SlcanPeer::Serial { path, baud } => write!(f, "slcan:{path}@{baud}")?,
                    SlcanPeer::Tcp(host) => write!(f, "slcan:tcp:{host}")?,
                    SlcanPeer::Unix(path) => write!(f, "slcan:unix:{}", path.display())?,
                }
                if let Some(speed) = address.speed {
                    options.push(format!("speed={speed}"));
                }
                if let Some(data) = address.data {
                    options.push(format!("data={data}"));
                }
            }
            Self::SocketCan(address) => write!(f, "socketcan:{}", address.interface)?,
        }
        if self.is_fd() {
            options.push("fd".to_owned());
        }
        for (index, option) in options.iter().enumerate() {
            write!(f, "{}{option}", if index == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
