use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::{AgentKey, LocationFault, Place, ProgramKey};
use crate::keys::uri::TokenUri;

fn parse(text: &str) -> Result<Place, LocationFault> {
    Place::parse(&OsString::from(text))
}

#[test]
fn each_place_has_its_form() {
    let file = |path: &str| Ok(Place::File(PathBuf::from(path)));
    assert_eq!(parse("root.pem"), file("root.pem"));
    assert_eq!(parse("-"), file("-"));
    assert_eq!(parse("file:env:KEY"), file("env:KEY"));
    assert_eq!(parse("./pkcs11:x"), file("./pkcs11:x"));
    assert_eq!(parse("env:KEY"), Ok(Place::Environment("KEY".into())));
    let agent = |key| Ok(Place::Agent(key));
    assert_eq!(parse("ssh-agent:"), agent(AgentKey::Only));
    assert_eq!(parse("ssh-agent:root%20of%3F"), agent(AgentKey::Comment("root of?".into())));
    assert_eq!(parse("ssh-agent:SHA256:abc="), agent(AgentKey::Fingerprint("abc".into())));
    assert_eq!(parse("ssh-agent:?public=a%26b.pub"), agent(AgentKey::Public("a&b.pub".into())));
    let program = ProgramKey {
        program: "/opt/sign it".into(),
        arguments: vec!["--key".into(), "a=b".into()],
        public: "root.cose".into(),
        time_limit: Duration::from_secs(5),
    };
    let text = "exec:/opt/sign%20it?argument=--key&argument=a=b&public=root.cose&timeout=5";
    assert_eq!(parse(text), Ok(Place::Program(program)));
}

/// RFC 7512 sections 2.3 and 3.
#[test]
fn a_uri_names_token_key_module_and_pin() {
    let text = "PKCS11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;\
                serial=0012;slot-id=327;object=my%3bkey;type=private;id=%69%95%3E\
                ?pin-source=file:/etc/token_pin&module-path=/usr/lib/libkey.so";
    let uri = TokenUri {
        token: Some("The Software PKCS#11 Softtoken".into()),
        manufacturer: Some("Snake Oil, Inc.".into()),
        model: Some("1.0".into()),
        serial: Some("0012".into()),
        slot: Some(327),
        object: Some("my;key".into()),
        id: Some(vec![0x69, 0x95, 0x3e]),
        module_path: Some("/usr/lib/libkey.so".into()),
        module_name: None,
        pin_source: Some("/etc/token_pin".into()),
    };
    assert_eq!(parse(text), Ok(Place::Token(uri)));
    assert_eq!(parse("pkcs11:"), Ok(Place::Token(TokenUri::default())));
}

#[test]
fn what_is_no_location_is_refused() {
    use LocationFault::{
        Empty, Encoding, NoProgram, NoPublicKey, NotAnAttribute, PinSource, PinValue, TooLong,
        TooManyArguments, Twice, Unknown, Value, Variable,
    };
    let value = |name, value: &str| Value { name, value: value.into() };
    for (text, fault) in [
        ("", Empty("--key")),
        ("file:", Empty("file:")),
        ("env:", Empty("env:")),
        ("env:A=B", Variable("A=B".into())),
        ("pkcs11:token", NotAnAttribute("token".into())),
        ("pkcs11:colour=red", Unknown("colour".into())),
        ("pkcs11:token=a;token=b", Twice("token".into())),
        ("pkcs11:token=%4", Encoding("token".into())),
        ("pkcs11:token=%4g", Encoding("token".into())),
        ("pkcs11:token=%ff", Encoding("token".into())),
        ("pkcs11:token=%00", Encoding("token".into())),
        ("pkcs11:slot-id=-1", value("slot-id", "-1")),
        ("pkcs11:type=cert", value("type", "cert")),
        ("pkcs11:?module-name=../evil", value("module-name", "../evil")),
        ("pkcs11:?x-secret=1", Unknown("x-secret".into())),
        ("pkcs11:token=a?pin-value=1234", PinValue),
        ("pkcs11:token=a;pin-value=1234", PinValue),
        ("pkcs11:?pin-source=%7Ccat%20pin", PinSource),
        ("pkcs11:?pin-source=pin", PinSource),
        ("pkcs11:?pin-source=file:", PinSource),
        ("ssh-agent:name?public=a.pub", value("ssh-agent", "name")),
        ("ssh-agent:?socket=a", Unknown("socket".into())),
        ("exec:", NoProgram),
        ("exec:?public=a", NoProgram),
        ("exec:sign", NoPublicKey),
        ("exec:sign?public=a&public=b", Twice("public".into())),
        ("exec:sign?public=a&timeout=0", value("timeout", "0")),
        ("exec:sign?public=a&timeout=3601", value("timeout", "3601")),
        ("exec:sign?public=a&shell=yes", Unknown("shell".into())),
    ] {
        assert_eq!(parse(text), Err(fault), "{text}");
    }
    assert_eq!(parse(&"a".repeat(4097)), Err(TooLong));
    assert_eq!(parse(&format!("exec:sign?public=a{}", "&argument=a".repeat(17))), Err(TooManyArguments));
}

/// A message is printed and logged: a PIN is not in it.
#[test]
fn no_message_repeats_a_pin() {
    for text in
        ["pkcs11:token=a?pin-value=271828", "pkcs11:pin-value=271828", "pkcs11:a?pin-value=271828&x=1"]
    {
        let fault = parse(text).unwrap_err();
        assert!(!fault.to_string().contains("271828"), "{fault}");
    }
    assert_eq!(parse("pkcs11:token=a?pin-value=271828"), Err(LocationFault::PinValue));
}
