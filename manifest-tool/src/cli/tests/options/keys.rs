//! Keys.

use super::{Options, REWRITING};

pub(super) const COMMANDS: &[Options] = &[
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
    Options { shortest: "key master --out m", alone: &[], needs: &[], excludes: &[] },
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
];
