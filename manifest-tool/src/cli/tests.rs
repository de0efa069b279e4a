//! Every option of every command has an effect in each command line that is accepted.

use std::collections::BTreeSet;

use clap::CommandFactory as _;

use super::*;

/// A command: the shortest command line that it accepts, the options that have an effect beside it, and those that
/// need another one, or exclude it. A test finds each option of the tool in here.
struct Options {
    shortest: &'static str,
    alone: &'static [&'static str],
    /// Option; what has to be there too.
    needs: &'static [(&'static str, &'static str)],
    /// Option; what it cannot stand beside.
    excludes: &'static [(&'static str, &'static str)],
}

const REWRITING: &[&str] = &[
    "--passphrase-file p",
    "--new-passphrase-file n",
    "--derivation scrypt",
    "--weak-passphrase",
    "--no-passphrase",
];
const IN_THE_ROOM: &[&str] = &[
    "--in b",
    "--answers a",
    "--passphrase-file p",
    "--pin-file p",
    "--now 2030-01-01T00:00:00Z",
    "--derivation scrypt",
    "--weak-passphrase",
    "--no-passphrase",
];
const MADE: &[(&str, &str)] =
    &[("--weak-passphrase", "--no-passphrase"), ("--derivation scrypt", "--no-passphrase")];
const SERVER: &str = "--server http://h --token-file t";

// --passphrase-file and --pin-file beside --key: `commands.rs` judges them when it knows where the key is kept.
const COMMANDS: &[Options] = &[
    Options {
        shortest: "key generate --out k",
        alone: &["--passphrase-file p", "--derivation scrypt", "--weak-passphrase", "--no-passphrase"],
        needs: &[],
        excludes: &[
            ("--weak-passphrase", "--no-passphrase"),
            ("--derivation scrypt", "--no-passphrase"),
            ("--key pkcs11:", "--out k"),
            ("--pin-file p", "--out k"),
        ],
    },
    Options {
        shortest: "key generate --key pkcs11:",
        alone: &["--pin-file p"],
        needs: &[],
        excludes: &[
            ("--passphrase-file p", "--key pkcs11:"),
            ("--derivation scrypt", "--key pkcs11:"),
            ("--weak-passphrase", "--key pkcs11:"),
            ("--no-passphrase", "--key pkcs11:"),
        ],
    },
    Options {
        shortest: "setup d",
        alone: &[
            "--domain d",
            "--product p",
            "--who w",
            "--ci-public c",
            "--ci-make",
            "--yes",
            "--passphrase-file p",
            "--now 2030-01-01T00:00:00Z",
            "--derivation scrypt",
            "--weak-passphrase",
            "--no-passphrase",
        ],
        needs: &[("--first-medium a", "--second-medium b"), ("--second-medium b", "--first-medium a")],
        excludes: &[
            ("--weak-passphrase", "--no-passphrase"),
            ("--derivation scrypt", "--no-passphrase"),
            ("--ci-public c", "--ci-make"),
        ],
    },
    Options { shortest: "ceremony plan p", alone: &[], needs: &[], excludes: &[] },
    Options { shortest: "ceremony pack f --out o", alone: &["--force"], needs: &[], excludes: &[] },
    Options { shortest: "ceremony rehearse p --dir d", alone: IN_THE_ROOM, needs: &[], excludes: MADE },
    Options { shortest: "ceremony run p --dir d", alone: IN_THE_ROOM, needs: &[], excludes: MADE },
    Options {
        shortest: "ceremony seal d",
        alone: &["--answers a", "--passphrase-file p", "--pin-file p", "--now 2030-01-01T00:00:00Z"],
        needs: &[],
        excludes: &[],
    },
    Options { shortest: "ceremony verify d --anchor a", alone: &["--rehearsal"], needs: &[], excludes: &[] },
    Options {
        shortest: "key public k",
        alone: &["--format spki", "--out o", "--passphrase-file p", "--pin-file p"],
        needs: &[("--force", "--out o")],
        excludes: &[],
    },
    Options {
        shortest: "key passphrase k --out o",
        alone: &[
            "--passphrase-file p",
            "--new-passphrase-file n",
            "--derivation scrypt",
            "--weak-passphrase",
            "--no-passphrase",
        ],
        needs: &[],
        excludes: &[
            ("--weak-passphrase", "--no-passphrase"),
            ("--derivation scrypt", "--no-passphrase"),
            ("--new-passphrase-file n", "--no-passphrase"),
        ],
    },
    // key import and key convert: `commands/key/rewrite.rs` judges --derivation with the form.
    Options {
        shortest: "key import k --out o",
        alone: REWRITING,
        needs: &[],
        excludes: &[("--weak-passphrase", "--no-passphrase"), ("--new-passphrase-file n", "--no-passphrase")],
    },
    Options {
        shortest: "key convert k --to openssh --out o",
        alone: REWRITING,
        needs: &[],
        excludes: &[("--weak-passphrase", "--no-passphrase"), ("--derivation scrypt", "--no-passphrase")],
    },
    Options {
        shortest: "key info k",
        alone: &["--passphrase-file p", "--pin-file p"],
        needs: &[],
        excludes: &[],
    },
    // key backup: `commands/key/backup.rs` judges --kept, --no-ledger and the number of holders.
    Options {
        shortest: "key backup k --copy c",
        alone: &[
            "--passphrase-file p",
            "--new-passphrase-file n",
            "--weak-passphrase",
            "--holder h",
            "--kept k",
            "--ledger d",
            "--no-ledger",
            "--by a",
            "--now 2030-01-31T00:00:00Z",
        ],
        needs: &[],
        excludes: &[
            ("--shares 3 --threshold 2 --out-dir d", "--copy c"),
            ("--threshold 2", "--copy c"),
            ("--out-dir d", "--copy c"),
            ("--name n", "--copy c"),
            ("--no-ledger", "--ledger d"),
        ],
    },
    Options {
        shortest: "key backup k --shares 3 --threshold 2 --out-dir d",
        alone: &["--name n"],
        needs: &[],
        excludes: &[("--new-passphrase-file n", "--shares 3"), ("--weak-passphrase", "--shares 3")],
    },
    Options {
        shortest: "key backup-check --share f",
        // --passphrase-file: `commands/key/recover.rs` demands --copy.
        alone: &[
            "--passphrase-file p",
            "--public p",
            "--entry 2",
            "--ledger d",
            "--no-ledger",
            "--by a",
            "--now 2030-01-31T00:00:00Z",
        ],
        needs: &[],
        excludes: &[("--type", "--share f"), ("--copy c", "--share f"), ("--no-ledger", "--ledger d")],
    },
    Options {
        shortest: "key recover --share f --out o",
        alone: &[
            "--public p",
            "--passphrase-file p",
            "--new-passphrase-file n",
            "--derivation scrypt",
            "--weak-passphrase",
            "--no-passphrase",
        ],
        needs: &[],
        excludes: &[
            ("--type", "--share f"),
            ("--copy c", "--share f"),
            ("--weak-passphrase", "--no-passphrase"),
            ("--derivation scrypt", "--no-passphrase"),
            ("--new-passphrase-file n", "--no-passphrase"),
        ],
    },
    Options {
        shortest: "credential issue --key k --for p --role release --vendor example.com --issuer i --subject s --out o",
        // --serial, --ceiling, --first and --previous: `commands/credential.rs` judges them with the role and the list.
        alone: &[
            "--class c",
            "--serial s",
            "--not-before 2030-01-31T00:00:00Z",
            "--expires 2030-01-31T00:00:00Z",
            "--ceiling 5",
            "--generation 1",
            "--known f",
            "--previous f",
            "--first",
            "--now 2030-01-31T00:00:00Z",
            "--passphrase-file p",
            "--pin-file p",
            "--allow-large-step",
            "--ledger d",
            "--no-ledger",
            "--force",
            // With a ledger: `recording.rs` judges them.
            "--by a",
            "--holder h",
            "--kept k",
            "--published f",
            "--none-published",
            "--no-expiry",
        ],
        needs: &[("--replaces f", "--list-out l"), ("--list-out l", "--replaces f")],
        excludes: &[
            ("--first", "--previous f"),
            ("--no-ledger", "--ledger d"),
            ("--published f", "--none-published"),
            ("--no-expiry", "--expires 2030-01-31T00:00:00Z"),
            ("--tbs-out t", "--out o"),
        ],
    },
    Options {
        shortest: "credential renew --key k --out-dir d ci",
        alone: &[
            "--all",
            "--envelope r",
            "--expires 2030-01-31T00:00:00Z",
            "--now 2030-01-31T00:00:00Z",
            "--passphrase-file p",
            "--pin-file p",
            "--ledger d",
            // The command itself refuses to go without a ledger.
            "--no-ledger",
            "--by a",
            "--yes",
            "--force",
        ],
        needs: &[],
        excludes: &[("--no-ledger", "--ledger d")],
    },
    Options {
        shortest: "credential inspect f",
        alone: &["--anchor a"],
        needs: &[
            ("--now 2030-01-31T00:00:00Z", "--anchor a"),
            ("--issuing i", "--anchor a"),
            ("--revocations l", "--anchor a"),
            ("--recovery-anchor r", "--anchor a"),
            ("--succession s", "--anchor a"),
        ],
        excludes: &[],
    },
    Options {
        shortest: "credential certificate f --key k --issuer-certificate c --out o",
        alone: &["--passphrase-file p", "--pin-file p", "--der", "--force"],
        needs: &[],
        excludes: &[("--root n", "--not-before 2030-01-31T00:00:00Z")],
    },
    Options {
        shortest: "credential certificate --root n --not-before 2030-01-31T00:00:00Z --key k --out o",
        alone: &[],
        needs: &[],
        excludes: &[("--issuer-certificate c", "")],
    },
    Options {
        shortest: "create --image f --vendor example.com --class c --sequence 1 --version 1 --out o --image-out i",
        alone: &[
            "--image-format bin",
            "--base 0x10",
            "--range 0..9",
            "--slot-size 9",
            "--serial s",
            "--previous-release p",
            "--description d",
            "--force",
        ],
        needs: &[
            ("--allow-non-firmware", "--image-format bin"),
            ("--second-image s", "--second-image-out t"),
            ("--second-image-out t", "--second-image s"),
            ("--allow-large-step", "--previous-release p"),
        ],
        excludes: &[],
    },
    Options {
        shortest: "sign u --key k --credential c --out o",
        alone: &["--passphrase-file p", "--pin-file p", "--anchor a", "--force"],
        needs: &[
            ("--revocations l", "--anchor a"),
            ("--recovery-anchor r", "--anchor a"),
            ("--succession s", "--anchor a"),
        ],
        excludes: &[("--tbs-out t", "--out o")],
    },
    // attach: `commands/attach.rs` judges --out, --tbs-out and --now with what is attached.
    Options {
        shortest: "attach --tbs t --signature s",
        alone: &[
            "--signer p",
            "--ledger d",
            "--no-ledger",
            "--out o",
            "--tbs-out h",
            "--now 2030-01-31T00:00:00Z",
            "--force",
        ],
        needs: &[("--envelope u", "--credential c"), ("--credential c", "--envelope u")],
        excludes: &[
            ("--no-ledger", "--ledger d"),
            ("--signer p", "--envelope u --credential c"),
            ("--ledger d", "--envelope u --credential c"),
            ("--no-ledger", "--envelope u --credential c"),
        ],
    },
    Options {
        shortest: "recertify r --credential c --out o",
        alone: &["--anchor a", "--force"],
        needs: &[
            ("--revocations l", "--anchor a"),
            ("--recovery-anchor r", "--anchor a"),
            ("--succession s", "--anchor a"),
        ],
        excludes: &[("--out-dir d", "--out o")],
    },
    Options {
        shortest: "verify r --anchor a",
        alone: &[
            "--recovery-anchor a",
            "--succession s",
            "--revocations l",
            "--image i",
            "--sequence-floor 1",
            "--now 2030-01-31T00:00:00Z",
        ],
        needs: &[
            ("--vendor example.com", "--class c"),
            ("--class c", "--vendor example.com"),
            ("--serial s", "--vendor example.com --class c"),
        ],
        excludes: &[],
    },
    Options { shortest: "inspect f", alone: &[], needs: &[], excludes: &[] },
    Options {
        shortest: "revoke --key k --issuer i --out o --credential c",
        // --previous, --first, --role and --generation: `commands/revoke.rs` demands them in words of its own.
        alone: &[
            "--previous f",
            "--first",
            "--sequence 2",
            "--key-of f",
            "--kid 0102030405060708",
            "--cti 000102030405060708090a0b0c0d0e0f",
            "--lowest-generation release=1",
            // --devices: `commands/revoke/devices.rs` judges it with --serial, and uses it for --lowest-generation.
            "--serial s",
            "--devices d",
            "--now 2030-01-31T00:00:00Z",
            "--passphrase-file p",
            "--pin-file p",
            "--allow-large-step",
            "--ledger d",
            "--no-ledger",
            "--force",
            "ci",
            // With a ledger: `recording.rs` judges them.
            "--by a",
            "--reason r",
            "--published f",
            "--none-published",
        ],
        needs: &[
            ("--role release", "--kid 0102030405060708"),
            ("--generation 1", "--key-of f"),
            ("--minimum *=5", "--vendor example.com"),
            ("--vendor example.com", "--minimum *=5"),
            ("--known f", "--minimum *=5 --vendor example.com"),
            ("--allow-return-of-devices", "--lowest-generation device=1"),
            ("--allow-unreachable-minimum", "--minimum *=5 --vendor example.com"),
        ],
        excludes: &[
            ("--nothing-new", "--credential c"),
            ("--first", "--previous f"),
            ("--no-ledger", "--ledger d"),
            ("--published f", "--none-published"),
            ("--tbs-out t", "--out o"),
        ],
    },
    Options {
        shortest: "rotate --key k --for p --subject s --out-dir d ci",
        // --published and --none-published: `commands/rotate.rs` judges them with --list-out.
        alone: &[
            "--holder h",
            "--kept k",
            "--envelope r",
            "--list-out l",
            "--published f",
            "--none-published",
            "--expires 2030-01-31T00:00:00Z",
            "--now 2030-01-31T00:00:00Z",
            "--passphrase-file p",
            "--pin-file p",
            "--ledger d",
            "--no-ledger",
            "--by a",
            "--yes",
            "--force",
        ],
        needs: &[
            ("--release-key k", "--envelope r"),
            ("--release-passphrase-file p", "--envelope r --release-key k"),
            ("--release-pin-file p", "--envelope r --release-key k"),
        ],
        excludes: &[("--no-ledger", "--ledger d"), ("--published f", "--none-published")],
    },
    Options {
        shortest: "succession request --key k --name n --out o",
        alone: &[
            "--history d",
            "--anchor a",
            "--recovery-anchor a",
            "--succession f",
            "--list f",
            "--by-recovery",
            "--rights governance,succession",
            "--now 2030-01-31T00:00:00Z",
            "--passphrase-file p",
            "--pin-file p",
            "--force",
        ],
        needs: &[("--owner-root", "--anchor a")],
        excludes: &[("--tbs-out t", "--out o")],
    },
    Options {
        shortest: "succession grant --key k --out o r",
        // --retires: `commands/succession/grant.rs` judges it with the request.
        alone: &[
            "--history d",
            "--anchor a",
            "--recovery-anchor a",
            "--succession f",
            "--list f",
            "--retires d",
            "--now 2030-01-31T00:00:00Z",
            "--passphrase-file p",
            "--pin-file p",
            "--ledger d",
            "--no-ledger",
            "--yes",
            "--force",
            // With a ledger: `recording.rs` judges them.
            "--by a",
            "--reason r",
        ],
        needs: &[("--owner-root", "--anchor a")],
        excludes: &[("--tbs-out t", "--out o"), ("--no-ledger", "--ledger d")],
    },
    Options {
        shortest: "succession chain --out o",
        alone: &[
            "--history d",
            "--anchor a",
            "--recovery-anchor a",
            "--succession f",
            "--list f",
            "--after 0.1",
            "--force",
        ],
        needs: &[("--owner-root", "--anchor a")],
        excludes: &[],
    },
    Options {
        shortest: "ledger init --key k --name n --holder h --kept k d",
        alone: &[
            // commands/ledger/init.rs judges --purpose and --domain-anchor together.
            "--purpose issuing",
            "--domain-anchor f",
            "--continues d",
            "--vendor example.com",
            "--adopt f",
            "--tbs-out t",
            "--by a",
            "--now 2030-01-31T00:00:00Z",
            "--passphrase-file p",
            "--pin-file p",
        ],
        needs: &[],
        excludes: &[("--domain-anchor f", "--continues d")],
    },
    Options {
        shortest: "ledger show",
        alone: &["d", "--now 2030-01-31T00:00:00Z"],
        needs: &[],
        excludes: &[],
    },
    Options { shortest: "ledger list", alone: &["d"], needs: &[], excludes: &[] },
    Options {
        shortest: "ledger verify",
        alone: &["d", "--anchor a", "--published f"],
        needs: &[],
        excludes: &[],
    },
    Options { shortest: "ledger diff d e", alone: &[], needs: &[], excludes: &[] },
    Options {
        shortest: "ledger merge --key k --reason r d e",
        alone: &["--by a", "--now 2030-01-31T00:00:00Z", "--passphrase-file p", "--pin-file p"],
        needs: &[],
        excludes: &[],
    },
    Options {
        shortest: "ledger export --csv f",
        alone: &["d", "--force"],
        needs: &[],
        excludes: &[("--entry 2", "--csv f"), ("--out o", "--csv f")],
    },
    Options {
        shortest: "ledger note --reason r n",
        alone: &["--ledger d", "--holder h", "--kept k", "--by a", "--now 2030-01-31T00:00:00Z"],
        needs: &[],
        excludes: &[],
    },
    Options {
        shortest: "ledger import d",
        alone: &["--ledger d", "--by a", "--now 2030-01-31T00:00:00Z"],
        needs: &[],
        excludes: &[("--published f", "d")],
    },
    Options {
        shortest: "custody report d",
        alone: &["--release r", "--devices f", "--block b", "--html p", "--now 2030-01-31T00:00:00Z"],
        needs: &[("--force", "--html p")],
        excludes: &[],
    },
    Options {
        shortest: "custody what-if d --revoke n",
        alone: &["--release r", "--devices f", "--block b", "--now 2030-01-31T00:00:00Z"],
        needs: &[],
        excludes: &[("--lost n", "--revoke n")],
    },
    Options {
        shortest: "doctor",
        alone: &[
            "d",
            "--key k",
            "--program p",
            "--release r",
            "--devices f",
            "--block b",
            "--now 2030-01-31T00:00:00Z",
        ],
        needs: &[("--published f", "d")],
        excludes: &[],
    },
    Options {
        shortest: "today",
        alone: &["d", "--copy c", "--now 2030-01-31T00:00:00Z"],
        needs: &[],
        excludes: &[],
    },
    Options {
        shortest: "ledger finish --key k",
        // --force: `commands/ledger/finish.rs` demands an output.
        alone: &[
            "d",
            "--out o",
            "--tbs-out t",
            "--force",
            "--now 2030-01-31T00:00:00Z",
            "--passphrase-file p",
            "--pin-file p",
        ],
        needs: &[],
        excludes: &[("--tbs-out t", "--out o")],
    },
    Options {
        shortest: "ledger void --reason r",
        alone: &["d", "--by a", "--now 2030-01-31T00:00:00Z"],
        needs: &[],
        excludes: &[],
    },
    Options {
        shortest: "provision --serial s --vendor example.com --class c --out o",
        // --again, --by, --key and what opens it: `commands/provision.rs` judges them with the ledger and the devices' keys.
        alone: &[
            "--node-address 5",
            "--anchor a",
            "--sequence-floor 5",
            "--allow-large-step",
            "--ledger l",
            "--no-ledger",
            "--by n",
            "--again",
            "--now 2030-01-31T00:00:00Z",
            "--key k",
            "--passphrase-file p",
            "--pin-file p",
            "--force",
        ],
        needs: &[
            ("--recovery-anchor r", "--anchor a"),
            ("--issuing i", "--key k"),
            ("--succession s", "--anchor a --issuing i --key k"),
            ("--revocations l", "--anchor a --issuing i --key k"),
            ("--device-key d", "--issuing i --key k --credential-out c"),
            ("--credential-out c", "--device-key d --issuing i --key k"),
        ],
        excludes: &[("--no-ledger", "--ledger l")],
    },
    Options {
        shortest: "provision --devices f --vendor example.com --out-dir o",
        alone: &["--class c"],
        needs: &[],
        excludes: &[
            ("--serial s", "--out p"),
            ("--out p", ""),
            ("--device-key d", ""),
            ("--credential-out c", ""),
        ],
    },
    Options {
        shortest: "publish --revocations l",
        alone: &["--ca f", "--succession s"],
        needs: &[
            ("--image i", "r"),
            ("--second-image s", "r --image i"),
            ("--allow-large-step", "r --image i"),
        ],
        excludes: &[],
    },
    Options {
        shortest: "withdraw r --reason x",
        alone: &["--ca f"],
        needs: &[],
        excludes: &[("--undo", "--reason x")],
    },
    Options {
        shortest: "retire s",
        alone: &["--ca f", "--reason x", "--undo"],
        needs: &[],
        excludes: &[("--undo", "--reason x")],
    },
];

fn is_accepted(options: &Options, more: &[&str]) -> bool {
    let needs_server =
        ["publish", "withdraw", "retire"].iter().any(|name| options.shortest.starts_with(name));
    let server = if needs_server { SERVER } else { "" };
    let words = [&["manifest-tool", options.shortest, server], more].concat();
    // An option that only repeats one of the shortest line is given once.
    let line = words.join(" ");
    parse_command_line::<CommandLine>(line.split_whitespace().map(OsString::from).collect()).is_ok()
}

/// `--force` without an output, a permission for nothing: who gives it believes that it does something.
#[test]
fn no_option_is_accepted_without_effect() {
    for options in COMMANDS {
        let line = options.shortest;
        assert!(is_accepted(options, &[]), "{line}");
        for option in options.alone {
            assert!(is_accepted(options, &[option]), "{line} {option}");
        }
        for (option, with) in options.needs {
            assert!(!is_accepted(options, &[option]), "{line} {option}");
            assert!(is_accepted(options, &[option, with]), "{line} {option} {with}");
        }
        for (option, beside) in options.excludes {
            let beside = if line.contains(beside) { "" } else { beside };
            assert!(!is_accepted(options, &[option, beside]), "{line} {option} {beside}");
        }
    }
}

#[test]
fn every_option_is_judged() {
    let mut judged = BTreeSet::new();
    for options in COMMANDS {
        let command = options.shortest.split(" -").next().unwrap();
        let command: Vec<&str> = command.split(' ').collect();
        let depth =
            if ["key", "credential", "ledger", "succession", "custody", "ceremony"].contains(&command[0]) {
                2
            } else {
                1
            };
        let name = command[..depth].join(" ");
        let pairs = options.needs.iter().chain(options.excludes).map(|(option, _)| option);
        let server = SERVER.split("  ");
        let texts = options.alone.iter().chain(pairs).copied().chain([options.shortest]).chain(server);
        for word in texts.flat_map(str::split_whitespace).filter(|word| word.starts_with("--")) {
            judged.insert(format!("{name} {word}"));
        }
    }
    let mut pending = vec![(String::new(), CommandLine::command())];
    while let Some((path, command)) = pending.pop() {
        for sub in command.get_subcommands() {
            let path = format!("{path} {}", sub.get_name()).trim_start().to_owned();
            pending.push((path, sub.clone()));
        }
        if command.has_subcommands() {
            continue;
        }
        for option in command.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(judged.contains(&format!("{path} --{option}")), "{path} --{option} is not in the table");
        }
    }
}
