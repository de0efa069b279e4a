use super::*;

#[test]
fn addresses_are_read_and_their_full_form_means_the_same() {
    for (text, full) in [
        ("udp-multicast", "udp-multicast:239.74.163.2:43113?interface=127.0.0.1&ttl=0"),
        ("udp-multicast?fd", "udp-multicast:239.74.163.2:43113?interface=127.0.0.1&ttl=0&fd"),
        ("udp-multicast:239.1.2.3", "udp-multicast:239.1.2.3:43113?interface=127.0.0.1&ttl=0"),
        ("udp-multicast:239.1.2.3:5000?fd=false", "udp-multicast:239.1.2.3:5000?interface=127.0.0.1&ttl=0"),
        ("udp-multicast::5000", "udp-multicast:239.74.163.2:5000?interface=127.0.0.1&ttl=0"),
        // Who names an interface reaches its network.
        ("udp-multicast?interface=192.0.2.2", "udp-multicast:239.74.163.2:43113?interface=192.0.2.2&ttl=1"),
        (
            "udp-multicast?interface=192.0.2.2&ttl=0",
            "udp-multicast:239.74.163.2:43113?interface=192.0.2.2&ttl=0",
        ),
        ("slcan:/dev/ttyACM0", "slcan:/dev/ttyACM0@115200"),
        ("slcan:/dev/ttyACM0@2000000?speed=6&fd", "slcan:/dev/ttyACM0@2000000?speed=500k&fd"),
        ("slcan:/dev/ttyACM0?fd&data=2m&speed=500k", "slcan:/dev/ttyACM0@115200?speed=500k&data=2M&fd"),
        ("slcan:tcp:localhost:3333?speed=1m", "slcan:tcp:localhost:3333?speed=1M"),
        ("slcan:COM3", "slcan:COM3@115200"),
        ("slcan:tcp:localhost:3333", "slcan:tcp:localhost:3333"),
        ("slcan:tcp:[::1]:3333", "slcan:tcp:[::1]:3333"),
        ("slcan:unix:/run/a board.sock", "slcan:unix:/run/a board.sock"),
        ("socketcan:vcan0", "socketcan:vcan0"),
        ("socketcan:can0?fd", "socketcan:can0?fd"),
    ] {
        let address: BusAddress = text.parse().unwrap();
        assert_eq!(address.to_string(), full);
        assert_eq!(full.parse::<BusAddress>().unwrap(), address);
        assert_eq!(address.is_fd(), full.ends_with("fd"));
    }
    assert_eq!("udp-multicast".parse::<BusAddress>().unwrap(), BusAddress::default());
}

#[test]
fn what_names_no_bus_is_refused_with_what_is_wrong() {
    for (text, words) in [
        ("", "no kind of bus"),
        ("vcan0", "no kind of bus"),
        ("udp", "no kind of bus"),
        ("udp-multicast:10.0.0.1", "not an IPv4 multicast group"),
        ("udp-multicast:ff15::1", "not an IPv4 multicast group"),
        ("udp-multicast:239.1.2.3:70000", "not a UDP port"),
        ("udp-multicast?interface=0.0.0.0", "not the IPv4 address of one interface"),
        ("udp-multicast?interface=lo", "not the IPv4 address of an interface"),
        ("udp-multicast?ttl=256", "not a time to live"),
        ("udp-multicast?speed=8", "a udp-multicast bus has no option \"speed\""),
        ("slcan:", "lacks the serial device"),
        ("slcan:/dev/ttyACM0@fast", "not a baud rate"),
        ("slcan:tcp:localhost", "lacks the TCP port"),
        ("slcan:tcp::3333", "lacks the TCP host"),
        ("slcan:tcp:localhost:x", "not a TCP port"),
        ("slcan:unix:", "lacks the path"),
        ("slcan:/dev/ttyACM0?speed=9", "not a bit rate"),
        ("slcan:/dev/ttyACM0?data=2M", "lacks the option fd, which data needs"),
        ("slcan:/dev/ttyACM0?fd&data=2000k", "not a data bit rate (1M to 8M)"),
        ("slcan:/dev/ttyACM0?fd&data=9M", "not a data bit rate"),
        ("slcan:unix:/run/board.sock?fd&data=2M", "lacks the option speed, which data needs"),
        ("slcan:/dev/ttyACM0?ttl=1", "a slcan bus has no option"),
        ("socketcan:", "lacks the name of the interface"),
        ("socketcan:can0?fd=maybe", "not true or false"),
    ] {
        let error = text.parse::<BusAddress>().unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}
