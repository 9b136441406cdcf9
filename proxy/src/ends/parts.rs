//! A body cut into what frames take.

use bytes::Bytes;
use tapedeck_schemas::{MAX_PART, Part};

/// A body as the payloads of frames: one without payload for none, several for one over [`MAX_PART`].
pub(super) fn parts(body: Option<Bytes>) -> impl Iterator<Item = (Part, Option<Bytes>)> {
    let mut rest = body.filter(|body| !body.is_empty());
    let mut index = 0;
    let mut over = false;
    std::iter::from_fn(move || {
        if std::mem::replace(&mut over, true) {
            return None;
        }
        let payload = rest.take().map(|mut body| {
            if body.len() > MAX_PART {
                rest = Some(body.split_off(MAX_PART));
            }
            body
        });
        over = rest.is_none();
        let part = Part { index, last: over };
        index += 1;
        Some((part, payload))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_body_are_the_body_and_only_the_last_says_so() {
        for size in [
            0,
            1,
            MAX_PART - 1,
            MAX_PART,
            MAX_PART + 1,
            3 * MAX_PART,
            3 * MAX_PART + 7,
        ] {
            let body = Bytes::from(vec![7; size]);
            let parts: Vec<_> = parts(Some(body.clone())).collect();
            let joined: Vec<u8> = parts
                .iter()
                .flat_map(|(_, payload)| payload.clone().unwrap_or_default())
                .collect();
            assert_eq!(joined, body);
            assert_eq!(parts.len(), size.div_ceil(MAX_PART).max(1));
            for (at, (part, _)) in parts.iter().enumerate() {
                assert_eq!(part.index as usize, at);
                assert_eq!(part.last, at + 1 == parts.len());
            }
        }
    }

    #[test]
    fn an_empty_body_is_one_frame_without_a_payload() {
        assert_eq!(parts(None).collect::<Vec<_>>(), [(Part::WHOLE, None)]);
        assert_eq!(parts(Some(Bytes::new())).collect::<Vec<_>>(), [(Part::WHOLE, None)]);
    }
}
