//! Writes a snapshot: parts are checked, sorted where their order is free, inverted, and streamed. One indicator or
//! property at a time is held beside the parts themselves.

use std::collections::BTreeSet;
use std::io::Write;

use super::Section;
use super::sink::{Sink, Written};
use crate::error::{Error, Result};
use crate::{Dictionary, IndicatorPart, ModelParts, PropertyPart, RankingPart};

/// Writes `parts` as a snapshot. Same parts, same bytes.
///
/// # Errors
/// `Io`; `Invalid` if the parts contradict each other (rows beyond the items, unsorted rows, names twice).
pub fn write(parts: &ModelParts, out: impl Write) -> Result<Written> {
    check_names(parts)?;
    let mut sink = Sink::new(out)?;
    let items = parts.items.len();
    let numbers = [parts.indicators.len(), parts.properties.len(), parts.rankings.len()];
    let numbers = numbers.map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let counts = [parts.users, items].into_iter().chain(numbers);
    sink.numbers(Section::Counts, 0, counts.map(u32::to_le_bytes))?;
    let names: Vec<&str> = names(parts).collect();
    text(&mut sink, 0, names.len(), |index| names[index])?;
    dictionary(&mut sink, 1, &parts.items)?;
    documents(&mut sink, 2, parts)?;
    let ranks = parts.rankings.iter().map(|part| dense(part, items)).collect::<Result<Vec<_>>>()?;
    order(&mut sink, 3, items, &ranks)?;
    let mut groups = 4..;
    for (part, group) in parts.indicators.iter().zip(&mut groups) {
        indicator(&mut sink, group, part, items)
            .map_err(|error| error.at(format!("indicator {}", part.name)))?;
    }
    for (part, group) in parts.properties.iter().zip(&mut groups) {
        property(&mut sink, group, part, items)
            .map_err(|error| error.at(format!("property {}", part.name)))?;
    }
    for (ranks, group) in ranks.iter().zip(groups) {
        sink.numbers(Section::Ranks, group, ranks.iter().map(|rank| rank.to_le_bytes()))?;
    }
    sink.finish()
}

fn names(parts: &ModelParts) -> impl Iterator<Item = &str> {
    let indicators = parts.indicators.iter().map(|part| &part.name);
    let properties = parts.properties.iter().map(|part| &part.name);
    let rankings = parts.rankings.iter().map(|part| &part.name);
    indicators.chain(properties).chain(rankings).map(String::as_str)
}

fn check_names(parts: &ModelParts) -> Result<()> {
    let mut indicators = BTreeSet::new();
    let mut rankings = BTreeSet::new();
    let twice = parts.indicators.iter().find(|part| !indicators.insert(&part.name)).map(|part| &part.name);
    let twice =
        twice.or(parts.rankings.iter().find(|part| !rankings.insert(&part.name)).map(|part| &part.name));
    if let Some(name) = twice {
        return Err(Error::invalid(format!("the name {name} stands for two indicators or two rankings")));
    }
    if !parts.properties.is_sorted_by(|a, b| a.name < b.name) {
        return Err(Error::invalid("properties must be sorted by name, each name once"));
    }
    Ok(())
}

fn text<'a, W: Write>(
    sink: &mut Sink<W>,
    group: u32,
    len: usize,
    get: impl Fn(usize) -> &'a str,
) -> Result<()> {
    let mut end = 0u64;
    let ends = (0..len).map(|index| {
        end += get(index).len() as u64;
        end.to_le_bytes()
    });
    sink.numbers(Section::TextStarts, group, std::iter::once([0; 8]).chain(ends))?;
    sink.section(Section::Text, group, |sink| (0..len).try_for_each(|index| sink.put(get(index).as_bytes())))
}

fn dictionary<W: Write>(sink: &mut Sink<W>, group: u32, dictionary: &Dictionary) -> Result<()> {
    sink.section(Section::TextStarts, group, |sink| sink.put(dictionary.offsets()))?;
    sink.section(Section::Text, group, |sink| sink.put(dictionary.bytes()))
}

fn documents<W: Write>(sink: &mut Sink<W>, group: u32, parts: &ModelParts) -> Result<()> {
    let rows = parts.documents.iter().map(|(row, _)| *row);
    check_rows(rows, parts.items.len()).map_err(|error| error.at("documents"))?;
    let mut rest = parts.documents.iter().peekable();
    let mut end = 0u64;
    let ends = (0..parts.items.len()).map(|row| {
        end += rest.next_if(|(at, _)| *at == row).map_or(0, |(_, text)| text.len() as u64);
        end.to_le_bytes()
    });
    sink.numbers(Section::TextStarts, group, std::iter::once([0; 8]).chain(ends))?;
    let mut texts = parts.documents.iter();
    sink.section(Section::Text, group, |sink| texts.try_for_each(|(_, text)| sink.put(text.as_bytes())))
}

/// Strictly ascending and below `items`.
fn check_rows(rows: impl Iterator<Item = u32> + Clone, items: u32) -> Result<()> {
    if !rows.clone().is_sorted_by(|a, b| a < b) {
        return Err(Error::invalid("rows must ascend, each once"));
    }
    check_bounds(rows, items)
}

fn check_bounds(mut rows: impl Iterator<Item = u32>, items: u32) -> Result<()> {
    match rows.find(|row| *row >= items) {
        Some(row) => Err(Error::invalid(format!("there is no item row {row}: the model has {items} items"))),
        None => Ok(()),
    }
}

/// One number per item, NaN = none; one zero.
fn dense(part: &RankingPart, items: u32) -> Result<Vec<f32>> {
    let rows = part.values.iter().map(|(row, _)| *row);
    check_rows(rows, items).map_err(|error| error.at(format!("ranking {}", part.name)))?;
    let mut ranks = vec![f32::NAN; items as usize];
    for (row, rank) in part.values.iter().filter(|(_, rank)| !rank.is_nan()) {
        ranks[*row as usize] = rank + 0.0;
    }
    Ok(ranks)
}

/// Item rows by each ranking, descending, absent last; then by row.
fn order<W: Write>(sink: &mut Sink<W>, group: u32, items: u32, ranks: &[Vec<f32>]) -> Result<()> {
    let absent_last = |rank: f32| if rank.is_nan() { (true, 0.0) } else { (false, -rank) };
    let mut rows: Vec<u32> = (0..items).collect();
    rows.sort_by(|a, b| {
        let by_rank = ranks.iter().map(|ranks| {
            let [a, b] = [a, b].map(|row| absent_last(ranks[*row as usize]));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        by_rank.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
    let mut positions = vec![0u32; items as usize];
    for (place, row) in (0..).zip(&rows) {
        positions[*row as usize] = place;
    }
    sink.numbers(Section::Order, group, rows.iter().map(|row| row.to_le_bytes()))?;
    sink.numbers(Section::Positions, group, positions.iter().map(|place| place.to_le_bytes()))
}

fn indicator<W: Write>(sink: &mut Sink<W>, group: u32, part: &IndicatorPart, items: u32) -> Result<()> {
    check_indicator(part, items)?;
    let correlators = &part.correlators;
    dictionary(sink, group, &part.things)?;
    let mut rest = part.rows.iter().zip(&correlators.offsets[1..]).peekable();
    let mut end = 0;
    let ends = (0..items).map(|row| {
        end = rest.next_if(|(at, _)| **at == row).map_or(end, |(_, offset)| *offset);
        end.to_le_bytes()
    });
    sink.numbers(Section::CorrelatorStarts, group, std::iter::once([0; 8]).chain(ends))?;
    sink.numbers(Section::Correlators, group, correlators.things.iter().map(|thing| thing.to_le_bytes()))?;
    sink.numbers(Section::Llr, group, correlators.llr.iter().map(|llr| llr.to_le_bytes()))?;
    let (starts, rows) = invert(part)?;
    sink.numbers(Section::PostingStarts, group, starts.iter().map(|start| start.to_le_bytes()))?;
    sink.numbers(Section::Postings, group, rows.iter().map(|row| row.to_le_bytes()))
}

fn check_indicator(part: &IndicatorPart, items: u32) -> Result<()> {
    check_rows(part.rows.iter().copied(), items)?;
    let correlators = &part.correlators;
    let len = correlators.things.len();
    let offsets = &correlators.offsets;
    if offsets.first() != Some(&0) || offsets.last() != Some(&(len as u64)) || !offsets.is_sorted() {
        return Err(Error::invalid("the offsets of its rows are not in order"));
    }
    if correlators.llr.len() != len || correlators.rows() != part.rows.len() {
        return Err(Error::invalid("rows, things and LLR differ in number"));
    }
    if let Some(thing) = correlators.things.iter().find(|thing| **thing >= part.things.len()) {
        return Err(Error::invalid(format!("there is no thing {thing}")));
    }
    let descending = |row| correlators.row(row).is_sorted_by(|a, b| a.1 >= b.1);
    if !(0..correlators.rows()).all(descending) || correlators.llr.iter().any(|llr| !llr.is_finite()) {
        return Err(Error::invalid("LLR must be finite and descend within a row"));
    }
    Ok(())
}

/// Thing → item rows, ascending: a counting sort.
fn invert(part: &IndicatorPart) -> Result<(Vec<u64>, Vec<u32>)> {
    let correlators = &part.correlators;
    let mut starts = vec![0u64; part.things.len() as usize + 1];
    for thing in &correlators.things {
        starts[*thing as usize + 1] += 1;
    }
    for index in 1..starts.len() {
        starts[index] += starts[index - 1];
    }
    let mut next = starts.clone();
    let mut rows = vec![0u32; correlators.things.len()];
    for (index, row) in part.rows.iter().enumerate() {
        for (thing, _) in correlators.row(index) {
            let place = &mut next[thing as usize];
            // Lengths of vectors in memory fit into usize.
            let at = usize::try_from(*place).unwrap_or(usize::MAX);
            if *place > starts[thing as usize] && rows[at - 1] == *row {
                return Err(Error::invalid(format!("item row {row} has thing {thing} twice")));
            }
            rows[at] = *row;
            *place += 1;
        }
    }
    Ok((starts, rows))
}

fn property<W: Write>(sink: &mut Sink<W>, group: u32, part: &PropertyPart, items: u32) -> Result<()> {
    let rows = part.keywords.iter().map(|(row, _)| *row);
    let rows = rows.chain(part.numbers.iter().map(|(row, _)| *row));
    check_bounds(rows.chain(part.dates.iter().map(|(row, _)| *row)), items)?;
    // Repeated values of an item count once.
    let mut pairs: Vec<(&str, u32)> =
        part.keywords.iter().map(|(row, value)| (value.as_str(), *row)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let lists: Vec<&[(&str, u32)]> = pairs.chunk_by(|a, b| a.0 == b.0).collect();
    text(sink, group, lists.len(), |index| lists[index][0].0)?;
    let mut end = 0u64;
    let ends = lists.iter().map(|list| {
        end += list.len() as u64;
        end.to_le_bytes()
    });
    sink.numbers(Section::PostingStarts, group, std::iter::once([0; 8]).chain(ends))?;
    sink.numbers(Section::Postings, group, pairs.iter().map(|(_, row)| row.to_le_bytes()))?;

    let mut numbers: Vec<_> = part.numbers.iter().copied().filter(|(_, number)| !number.is_nan()).collect();
    numbers.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    sink.numbers(Section::NumberRows, group, numbers.iter().map(|(row, _)| row.to_le_bytes()))?;
    sink.numbers(Section::Numbers, group, numbers.iter().map(|(_, number)| number.to_le_bytes()))?;
    let mut dates = part.dates.clone();
    dates.sort_unstable();
    sink.numbers(Section::DateRows, group, dates.iter().map(|(row, _)| row.to_le_bytes()))?;
    sink.numbers(Section::Dates, group, dates.iter().map(|(_, date)| date.to_le_bytes()))
}
