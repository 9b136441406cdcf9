//! Files of columns are written in blocks, and a value may begin in one and end in the next, with the next one's head between.

/// Checksum, method, size with method and sizes, size of what is in it.
const HEAD: usize = 16 + METHOD_AND_SIZES;
const METHOD_AND_SIZES: usize = 1 + 4 + 4;
/// What is in the block is written as it is.
const NONE: u8 = 0x02;

/// What stands in the blocks of such a file that are not compressed, without their heads; nothing where the file has no blocks.
pub(super) fn contents(file: &[u8]) -> Vec<u8> {
    let (mut contents, mut rest) = (Vec::new(), file);
    while let Some((head, blocks)) = rest.split_first_chunk::<HEAD>() {
        let [size_0, size_1, size_2, size_3] = [head[17], head[18], head[19], head[20]];
        let size = u32::from_le_bytes([size_0, size_1, size_2, size_3]) as usize;
        let Some((block, others)) = size
            .checked_sub(METHOD_AND_SIZES)
            .and_then(|size| blocks.split_at_checked(size))
        else {
            return Vec::new();
        };
        if head[16] == NONE {
            contents.extend_from_slice(block);
        }
        rest = others;
    }
    contents
}

#[cfg(test)]
mod tests {
    use super::{HEAD, METHOD_AND_SIZES, contents};

    fn block(method: u8, block: &[u8]) -> Vec<u8> {
        let mut file = vec![0xAA; 16];
        file.push(method);
        file.extend(((block.len() + METHOD_AND_SIZES) as u32).to_le_bytes());
        file.extend((block.len() as u32).to_le_bytes());
        file.extend(block);
        file
    }

    #[test]
    fn a_value_that_goes_on_in_the_next_block_is_whole() {
        let file = [block(0x02, b"one can"), block(0x82, b"\xF0\x9F"), block(0x02, b"ary")].concat();
        assert_eq!(contents(&file), b"one canary");
        assert!(file.len() > 3 * HEAD);
    }

    #[test]
    fn what_has_no_blocks_has_no_contents() {
        for file in [
            &b"short"[..],
            b"a text that is longer than the head of any block would be",
        ] {
            assert!(contents(file).is_empty());
        }
    }
}
