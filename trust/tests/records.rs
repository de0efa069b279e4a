//! Records against the verifying code: what is good, what each attack ends in, and the bytes that are frozen.

mod records {
    mod attacks;
    mod bit_flips;
    mod chain;
    mod claims;
    mod forge;
    mod frozen;
    mod issued;
    mod provisioning;
    mod revocation;
    mod roots;
    mod second_opinion;
    mod succession;
    mod succession_store;
    mod thrones;
}
