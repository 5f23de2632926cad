// SPDX-License-Identifier: BSD-2-Clause
//! What the items of an envelope count as, and which of them belong together.

use protocol::category::Category;
use protocol::entry::Part;

use crate::envelope::Item;

/// Items, and the parts of an entry that they are. Items of one category that belong to the same are one part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sorted {
    pub parts: Vec<Part>,
    /// Of each item the place of its part.
    pub places: Vec<usize>,
}

impl Sorted {
    /// Sorts the items of an envelope.
    pub fn of(items: &[Item]) -> Sorted {
        let mut sorted = Sorted { parts: Vec::new(), places: vec![0; items.len()] };
        let leader = items.iter().position(|item| item.kind.leads());
        // The one that others go with first, so that it has a place.
        let led = leader.and_then(|place| Some((place, items.get(place)?)));
        let leading = led.map(|(place, item)| sorted.add(place, item, None));
        for (place, item) in items.iter().enumerate().filter(|(place, _)| Some(*place) != leader) {
            let with = leading.filter(|_| item.kind.follows());
            sorted.add(place, item, with);
        }
        sorted
    }

    /// Counts an item; the place of its part.
    fn add(&mut self, place: usize, item: &Item, with: Option<usize>) -> usize {
        let bytes = item.payload.len();
        let quantity = item.kind.quantity(bytes, item.count);
        let part = match item.kind.bytes_category() {
            // Either counts the same item: none of the two goes without the other.
            Some(category) => self.count_twice(item.kind.category(), quantity, category, bytes.max(1) as u64),
            None => self.count(item.kind.category(), quantity, with),
        };
        if let Some(own) = self.places.get_mut(place) {
            *own = part;
        }
        part
    }

    fn count(&mut self, category: Category, quantity: u64, with: Option<usize>) -> usize {
        let known = self.parts.iter_mut().enumerate().find(|(_, part)| part.category == category && part.with == with);
        if let Some((place, part)) = known {
            part.quantity = part.quantity.saturating_add(quantity);
            return place;
        }
        self.parts.push(Part { category, quantity, with });
        self.parts.len() - 1
    }

    fn count_twice(&mut self, items: Category, count: u64, bytes: Category, length: u64) -> usize {
        if let Some(place) = self.parts.iter().position(|part| part.category == items) {
            for (category, more) in [(items, count), (bytes, length)] {
                for part in self.parts.iter_mut().filter(|part| part.category == category) {
                    part.quantity = part.quantity.saturating_add(more);
                }
            }
            return place;
        }
        let place = self.parts.len();
        self.parts.push(Part::new(items, count).together_with(place + 1));
        self.parts.push(Part::new(bytes, length).together_with(place));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::read;

    fn sorted(items: &[&str]) -> Sorted {
        let body: String =
            ["{}\n".to_owned()].into_iter().chain(items.iter().map(|item| format!("{{{item}}}\nabcde\n"))).collect();
        Sorted::of(&read(body.as_bytes()).unwrap().items)
    }

    #[test]
    fn items_of_a_category_are_one_part_and_attachments_go_with_their_event() {
        let file = r#""type":"attachment""#;
        let all = sorted(&[
            file,
            r#""type":"session""#,
            r#""type":"event""#,
            file,
            r#""type":"sessions","item_count":3"#,
            r#""type":"client_report""#,
        ]);
        assert_eq!(
            all.parts,
            [
                Part::new(Category::Error, 1),
                Part::new(Category::Attachment, 10).together_with(0),
                Part::new(Category::Session, 4),
                Part::new(Category::Internal, 1),
            ]
        );
        assert_eq!(all.places, [1, 2, 0, 1, 2, 3]);
        let alone = sorted(&[file, r#""type":"profile""#]);
        assert_eq!(alone.parts, [Part::new(Category::Attachment, 5), Part::new(Category::Profile, 1)]);
    }

    #[test]
    fn logs_count_by_number_and_by_bytes_and_go_by_both() {
        let log = r#""type":"log","item_count":2"#;
        let all = sorted(&[log, r#""type":"trace_metric""#, log]);
        let expected = [
            Part::new(Category::LogItem, 4).together_with(1),
            Part::new(Category::LogByte, 10).together_with(0),
            Part::new(Category::TraceMetric, 1).together_with(3),
            Part::new(Category::TraceMetricByte, 5).together_with(2),
        ];
        assert_eq!((&all.parts[..], &all.places[..]), (&expected[..], &[0, 2, 0][..]));
        use protocol::category::Categories;
        for limited in [Category::LogItem, Category::LogByte] {
            let go = all.parts.iter().map(|part| part.goes(&all.parts, Categories::ALL.without(limited)));
            assert_eq!(go.collect::<Vec<_>>(), [false, false, true, true]);
        }
    }

    #[test]
    fn the_pieces_of_a_replay_are_one_part() {
        let all = sorted(&[r#""type":"replay_event""#, r#""type":"replay_recording""#]);
        assert_eq!((all.parts, all.places), (vec![Part::new(Category::Replay, 2)], vec![0, 0]));
    }
}
