//! What the fuzz targets share.

/// Splits `input` into chunks whose lengths follow from `seed`, so that the fuzzer chooses the split.
pub fn chunks(input: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let longest = 1 + usize::from(seed & 0x3f);
    let mut state = u32::from(seed) + 1;
    let mut rest = input;
    std::iter::from_fn(move || {
        // xorshift32: any spread of lengths does.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let length = (1 + state as usize % longest).min(rest.len());
        let (chunk, after) = rest.split_at(length);
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}
