//! Opens a snapshot: checks every checksum, offset and id once, so that search can trust them.

use std::ops::Range;
use std::sync::LazyLock;

use super::{ALIGN, END_MAGIC, ENTRY_BYTES, FORMAT, FORMAT_OLDEST, HEADER_BYTES, MAGIC, Section, TAIL_BYTES};
use crate::array::{Array, Column, Postings, Scalar, Starts};
use crate::bits::Bits;
use crate::error::{Error, ErrorKind, Result};
use crate::{Dictionary, DictionaryView};

/// Where a section is in the file.
pub(crate) type Span = Range<usize>;

/// Where what is in a snapshot.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) users: u32,
    pub(crate) items: u32,
    pub(crate) ids: StringsAt,
    pub(crate) documents: StringsAt,
    pub(crate) order: Span,
    pub(crate) positions: Span,
    /// Indicators, then properties.
    pub(crate) fields: Vec<FieldAt>,
    pub(crate) indicators: usize,
    pub(crate) rankings: Vec<(String, Span)>,
}

#[derive(Debug)]
pub(crate) struct StringsAt {
    starts: Span,
    text: Span,
}

impl StringsAt {
    pub(crate) fn view<'a>(&self, bytes: &'a [u8]) -> DictionaryView<'a> {
        // The sections fit each other: that was checked when the snapshot was opened.
        static EMPTY: LazyLock<Dictionary> = LazyLock::new(Dictionary::default);
        DictionaryView::new(slice(bytes, &self.text), slice(bytes, &self.starts))
            .unwrap_or_else(|_| EMPTY.view())
    }
}

/// An indicator or a property.
#[derive(Debug)]
pub(crate) struct FieldAt {
    pub(crate) name: String,
    values: StringsAt,
    postings: [Span; 2],
    /// Items with at least one value.
    pub(crate) documents: u32,
    correlators: [Span; 3],
    numbers: ([Span; 2], bool),
    dates: ([Span; 2], bool),
}

impl FieldAt {
    pub(crate) fn values<'a>(&self, bytes: &'a [u8]) -> DictionaryView<'a> {
        self.values.view(bytes)
    }

    pub(crate) fn postings<'a>(&self, bytes: &'a [u8]) -> Postings<'a> {
        let [at, rows] = &self.postings;
        Postings { starts: starts(bytes, at), rows: array(bytes, rows) }
    }

    /// (thing, LLR) of an item, strongest first. Empty for a property.
    pub(crate) fn correlators<'a>(
        &self,
        bytes: &'a [u8],
        row: u32,
    ) -> impl ExactSizeIterator<Item = (u32, f64)> + use<'a> {
        let [at, things, llrs] = &self.correlators;
        let range = starts(bytes, at).range(row as usize);
        let llrs: Array<'a, f64> = array(bytes, llrs);
        array::<u32>(bytes, things).slice(range.clone()).iter().zip(llrs.slice(range).iter())
    }

    pub(crate) fn numbers<'a>(&self, bytes: &'a [u8]) -> Column<'a, f64> {
        column(bytes, &self.numbers)
    }

    pub(crate) fn dates<'a>(&self, bytes: &'a [u8]) -> Column<'a, i64> {
        column(bytes, &self.dates)
    }
}

fn slice<'a>(bytes: &'a [u8], span: &Span) -> &'a [u8] {
    bytes.get(span.clone()).unwrap_or_default()
}

fn array<'a, T: Scalar>(bytes: &'a [u8], span: &Span) -> Array<'a, T> {
    Array::new(slice(bytes, span))
}

fn starts<'a>(bytes: &'a [u8], span: &Span) -> Starts<'a> {
    Starts(array(bytes, span))
}

fn column<'a, T: Scalar>(bytes: &'a [u8], (at, single): &([Span; 2], bool)) -> Column<'a, T> {
    Column { rows: array(bytes, &at[0]), values: array(bytes, &at[1]), single: *single }
}

/// Reads and checks a whole snapshot.
pub(crate) fn read(bytes: &[u8]) -> Result<Layout> {
    let table = open_table(bytes)?;
    let mut reader = Reader { bytes, table, next: 0, expected: HEADER_BYTES };
    let layout = reader.layout()?;
    if reader.next * ENTRY_BYTES != reader.table.len()
        || align(reader.expected) != table_start(bytes, reader.table)
    {
        return Err(Error::corrupt("the file holds more than its parts"));
    }
    Ok(layout)
}

fn table_start(bytes: &[u8], table: &[u8]) -> usize {
    bytes.len() - TAIL_BYTES - table.len()
}

/// Header, tail and checksum of the table; gives the table.
fn open_table(bytes: &[u8]) -> Result<&[u8]> {
    let cut_off = || Error::corrupt("the file is cut off or no model; retrain or roll back");
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(cut_off)?;
    let (rest, tail) =
        rest.len().checked_sub(TAIL_BYTES).and_then(|at| rest.split_at_checked(at)).ok_or_else(cut_off)?;
    if !header.starts_with(MAGIC) {
        return Err(Error::corrupt("no model: the first bytes are not those of one"));
    }
    let format = number::<u32>(header, 8);
    if !(FORMAT_OLDEST..=FORMAT).contains(&format) {
        let message = format!(
            "the model has format {format}, this program reads {FORMAT_OLDEST} to {FORMAT}: \
             retrain, or use the program that wrote it"
        );
        return Err(Error::new(ErrorKind::Version, message));
    }
    if !tail.ends_with(END_MAGIC) || number::<u64>(tail, 8) != bytes.len() as u64 {
        return Err(cut_off());
    }
    let table = usize::try_from(number::<u64>(tail, 0))
        .ok()
        .and_then(|offset| rest.get(offset.checked_sub(HEADER_BYTES)?..))
        .filter(|table| table.len() as u64 == u64::from(number::<u32>(tail, 16)) * ENTRY_BYTES as u64)
        .ok_or_else(|| Error::corrupt("the table of parts lies outside of the file"))?;
    let mut crc = crc32fast::Hasher::new();
    [header, table, &tail[..20]].into_iter().for_each(|part| crc.update(part));
    if crc.finalize() != number::<u32>(tail, 20) {
        return Err(Error::corrupt("the checksum of the table of parts is wrong; retrain or roll back"));
    }
    Ok(table)
}

/// 0 where out of bounds; callers know the length.
fn number<T: Scalar + Default>(bytes: &[u8], at: usize) -> T {
    Array::new(bytes.get(at..).unwrap_or_default()).get(0).unwrap_or_default()
}

fn align(offset: usize) -> usize {
    offset.next_multiple_of(ALIGN)
}

/// Takes the sections in the fixed sequence.
struct Reader<'a> {
    bytes: &'a [u8],
    table: &'a [u8],
    next: usize,
    expected: usize,
}

impl Reader<'_> {
    /// The next section; it must be `section` of `group`, follow the one before, and have its checksum.
    fn take(&mut self, section: Section, group: u32) -> Result<Span> {
        let place = format!("section {section:?} {group}");
        let missing = || Error::corrupt(format!("{place} is missing"));
        let entry =
            self.table.get(self.next * ENTRY_BYTES..).filter(|rest| !rest.is_empty()).ok_or_else(missing)?;
        if number::<u32>(entry, 0) != section as u32 || number::<u32>(entry, 4) != group {
            return Err(missing());
        }
        let outside = || Error::corrupt(format!("{place} lies outside of its place"));
        let start = align(self.expected);
        if number::<u64>(entry, 8) != start as u64 || number::<u32>(entry, 28) != 0 {
            return Err(outside());
        }
        let limit = table_start(self.bytes, self.table);
        let end = usize::try_from(number::<u64>(entry, 16))
            .ok()
            .and_then(|length| start.checked_add(length))
            .filter(|end| end.checked_next_multiple_of(ALIGN).is_some_and(|padded| padded <= limit))
            .ok_or_else(outside)?;
        // The checksum covers the padding, so that no byte of the file is unguarded.
        if crc32fast::hash(slice(self.bytes, &(start..align(end)))) != number::<u32>(entry, 24) {
            return Err(Error::corrupt(format!("the checksum of {place} is wrong; retrain or roll back")));
        }
        self.next += 1;
        self.expected = end;
        Ok(start..end)
    }

    /// A section of whole numbers; `len` if given.
    fn numbers<T: Scalar>(&mut self, section: Section, group: u32, len: Option<usize>) -> Result<Span> {
        let span = self.take(section, group)?;
        let size = size_of::<T::Bytes>();
        if span.len() % size != 0 || len.is_some_and(|len| span.len() / size != len) {
            return Err(Error::corrupt(format!("section {section:?} {group} has a wrong length")));
        }
        Ok(span)
    }

    fn layout(&mut self) -> Result<Layout> {
        let counts = self.numbers::<u32>(Section::Counts, 0, Some(5))?;
        let counts = |index| array::<u32>(self.bytes, &counts).get(index).unwrap_or_default();
        let [users, items, indicators, properties, rankings] = [0, 1, 2, 3, 4].map(counts);
        let names = self.strings(0, None)?;
        let names = names.view(self.bytes);
        if u64::from(names.len()) != u64::from(indicators) + u64::from(properties) + u64::from(rankings) {
            return Err(Error::corrupt("names and parts differ in number"));
        }
        let ids = self.dictionary(1)?;
        if ids.view(self.bytes).len() != items {
            return Err(Error::corrupt("ids and items differ in number"));
        }
        let documents = self.strings(2, Some(items))?;
        let (order, positions) = self.order(3, items)?;
        let mut names = (4..).zip(names.iter().map(str::to_owned));
        let mut fields = Vec::new();
        for (group, name) in names.by_ref().take(indicators as usize) {
            fields.push(self.indicator(group, name, items)?);
        }
        for (group, name) in names.by_ref().take(properties as usize) {
            fields.push(self.property(group, name, items)?);
        }
        let ranks =
            |(group, name)| Ok((name, self.numbers::<f32>(Section::Ranks, group, Some(items as usize))?));
        let rankings = names.map(ranks).collect::<Result<_>>()?;
        let indicators = indicators as usize;
        Ok(Layout { users, items, ids, documents, order, positions, fields, indicators, rankings })
    }

    /// n + 1 ascending numbers from 0 to `end`; gives n.
    fn starts(&self, span: &Span, end: usize, place: &str) -> Result<usize> {
        let numbers = array::<u64>(self.bytes, span);
        let sorted = numbers.iter().is_sorted();
        if !sorted || numbers.get(0) != Some(0) || numbers.iter().next_back() != Some(end as u64) {
            return Err(Error::corrupt(format!("{place}: the starts of its lists are not in order")));
        }
        Ok(numbers.len() - 1)
    }

    /// Strings in any order; `len` of them if given.
    fn strings(&mut self, group: u32, len: Option<u32>) -> Result<StringsAt> {
        let starts = self.numbers::<u64>(Section::TextStarts, group, len.map(|len| len as usize + 1))?;
        let text = self.take(Section::Text, group)?;
        self.starts(&starts, text.len(), &format!("text {group}"))?;
        let utf8 = std::str::from_utf8(slice(self.bytes, &text)).ok().is_some_and(|text| {
            let mut starts = array::<u64>(self.bytes, &starts).iter();
            starts.all(|start| usize::try_from(start).is_ok_and(|start| text.is_char_boundary(start)))
        });
        if !utf8 {
            return Err(Error::corrupt(format!("text {group} is not UTF-8")));
        }
        Ok(StringsAt { starts, text })
    }

    /// Distinct strings in ascending order.
    fn dictionary(&mut self, group: u32) -> Result<StringsAt> {
        let starts = self.numbers::<u64>(Section::TextStarts, group, None)?;
        let text = self.take(Section::Text, group)?;
        DictionaryView::new(slice(self.bytes, &text), slice(self.bytes, &starts))
            .and_then(|view| view.validate())
            .map_err(|error| Error::corrupt(format!("text {group}: {error}")))?;
        Ok(StringsAt { starts, text })
    }

    fn order(&mut self, group: u32, items: u32) -> Result<(Span, Span)> {
        let order = self.numbers::<u32>(Section::Order, group, Some(items as usize))?;
        let positions = self.numbers::<u32>(Section::Positions, group, Some(items as usize))?;
        let inverse = array::<u32>(self.bytes, &positions);
        let rows = array::<u32>(self.bytes, &order).iter();
        if (0..).zip(rows).any(|(place, row)| inverse.get(row as usize) != Some(place)) {
            return Err(Error::corrupt("the order of items does not name each once"));
        }
        Ok((order, positions))
    }

    fn indicator(&mut self, group: u32, name: String, items: u32) -> Result<FieldAt> {
        let values = self.dictionary(group)?;
        let things = values.view(self.bytes).len() as usize;
        let at = self.numbers::<u64>(Section::CorrelatorStarts, group, Some(items as usize + 1))?;
        let columns = self.numbers::<u32>(Section::Correlators, group, None)?;
        let llrs = self.numbers::<f64>(Section::Llr, group, Some(columns.len() / 4))?;
        self.starts(&at, columns.len() / 4, &name)?;
        if array::<u32>(self.bytes, &columns).iter().any(|thing| thing as usize >= things) {
            return Err(Error::corrupt(format!("indicator {name} names things that it does not have")));
        }
        let lists = starts(self.bytes, &at);
        let strengths = array::<f64>(self.bytes, &llrs);
        let descending = |row| strengths.slice(lists.range(row)).iter().is_sorted_by(|a, b| a >= b);
        if strengths.iter().any(|llr| !llr.is_finite()) || !(0..items as usize).all(descending) {
            return Err(Error::corrupt(format!("indicator {name}: LLR is not descending")));
        }
        let postings = self.postings(group, things, items)?;
        if postings[1].len() != columns.len() {
            return Err(Error::corrupt(format!("indicator {name}: its two directions differ")));
        }
        let documents = (0..items as usize).filter(|row| !lists.range(*row).is_empty()).count();
        let documents = u32::try_from(documents).unwrap_or(items);
        let none = || ([0..0, 0..0], true);
        let correlators = [at, columns, llrs];
        Ok(FieldAt { name, values, postings, documents, correlators, numbers: none(), dates: none() })
    }

    fn property(&mut self, group: u32, name: String, items: u32) -> Result<FieldAt> {
        let values = self.dictionary(group)?;
        let postings = self.postings(group, values.view(self.bytes).len() as usize, items)?;
        let documents = array::<u32>(self.bytes, &postings[1]).iter().collect::<Bits>().len();
        let numbers = self.column::<f64>([Section::NumberRows, Section::Numbers], group, items)?;
        let dates = self.column::<i64>([Section::DateRows, Section::Dates], group, items)?;
        Ok(FieldAt { name, values, postings, documents, correlators: [0..0, 0..0, 0..0], numbers, dates })
    }

    fn postings(&mut self, group: u32, lists: usize, items: u32) -> Result<[Span; 2]> {
        let at = self.numbers::<u64>(Section::PostingStarts, group, Some(lists + 1))?;
        let rows = self.numbers::<u32>(Section::Postings, group, None)?;
        self.starts(&at, rows.len() / 4, &format!("postings {group}"))?;
        let postings = Postings { starts: starts(self.bytes, &at), rows: array(self.bytes, &rows) };
        let sound = |list: usize| {
            let rows = postings.rows.slice(postings.starts.range(list));
            rows.iter().next_back().is_none_or(|row| row < items) && rows.iter().is_sorted_by(|a, b| a < b)
        };
        if !(0..lists).all(sound) {
            return Err(Error::corrupt(format!("postings {group} are not ascending rows of items")));
        }
        Ok([at, rows])
    }

    fn column<T: Scalar>(
        &mut self,
        [at, of]: [Section; 2],
        group: u32,
        items: u32,
    ) -> Result<([Span; 2], bool)> {
        let rows = self.numbers::<u32>(at, group, None)?;
        let values = self.numbers::<T>(of, group, Some(rows.len() / 4))?;
        let numbers = array::<u32>(self.bytes, &rows);
        if !numbers.iter().is_sorted() || numbers.iter().next_back().is_some_and(|row| row >= items) {
            return Err(Error::corrupt(format!("section {at:?} {group} are not ascending rows of items")));
        }
        Ok(([rows, values], numbers.iter().is_sorted_by(|a, b| a < b)))
    }
}
