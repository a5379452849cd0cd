"""Times and days as people and programs write them, read strictly: 31 February is no day."""

import pyarrow as pa
import pyarrow.compute as pc

from micromega.market.schemas import TIME

UNIX, UNIX_MS, ISO = "unix", "unix_ms", "iso"
"""Forms besides strptime patterns: seconds or milliseconds since 1970, ISO 8601."""
_ISO = (
    r"^(?P<day>[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))"
    r"(?:[T ](?P<clock>(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?)(?P<fraction>\.[0-9]{1,9})?"
    r" ?(?P<zone>Z|UTC|[+-][0-9]{2}:?[0-9]{2})?)?$"
)


def parse_times(values: pa.ChunkedArray, form: str = ISO) -> pa.ChunkedArray:
    """Read a column of times.

    Args:
        values: (N,) texts, or null.
        form: a strptime pattern such as "%d/%m/%Y %H:%M", or "unix", "unix_ms", "iso". Times without a time zone are
            taken as UTC.

    Returns:
        (N,) times, UTC, microseconds; null where the text is null or no such time.
    """
    if form == ISO:
        return _iso(values)
    if form in {UNIX, UNIX_MS}:
        whole = pc.if_else(
            pc.match_substring_regex(values, r"^[0-9]{1,13}(\.0+)?$"), values, pa.scalar(None, pa.string())
        )
        number = pc.replace_substring_regex(whole, r"\.0+$", "").cast(pa.int64())
        limit = 253_402_300_799 * (1_000 if form == UNIX_MS else 1)  # the year 9999
        number = pc.if_else(pc.less_equal(number, limit), number, pa.scalar(None, pa.int64()))
        return number.cast(pa.timestamp("s" if form == UNIX else "ms", tz="UTC")).cast(TIME)
    found = pc.strptime(values, form, "us", error_is_null=True)
    if found.type.tz is None:
        # strptime turns 31 February into 3 March: such a day comes out as another text than it went in.
        same = pc.equal(_plain(pc.strftime(found, form)), _plain(values))
        found = pc.if_else(same, found, pa.scalar(None, found.type))
    return found.cast(TIME)


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text without what strptime overlooks (case, blanks, leading zeros) and the fractions that Arrow writes."""
    bare = pc.replace_substring_regex(pc.utf8_lower(values), r"\.0{6}", "")
    bare = pc.utf8_trim_whitespace(pc.replace_substring_regex(bare, r"\s+", " "))
    return pc.replace_substring_regex(bare, r"(^|[^0-9.])0+([0-9])", r"\1\2")


def _iso(values: pa.ChunkedArray) -> pa.ChunkedArray:
    parts = pc.extract_regex(values, _ISO)
    day, clock, fraction, zone = (pc.struct_field(parts, name) for name in ("day", "clock", "fraction", "zone"))
    date = pc.strptime(day, "%Y-%m-%d", "us", error_is_null=True)
    date = pc.if_else(pc.equal(pc.strftime(date, "%Y-%m-%d"), day), date, pa.scalar(None, date.type))
    seconds = pc.add(pc.add(_digits(clock, 0, 2, 3600), _digits(clock, 3, 5, 60)), _digits(clock, 6, 8, 1))
    micro = _digits(pc.utf8_rpad(fraction, 7, "0"), 1, 7, 1)
    bare = pc.replace_substring(zone, ":", "")
    offset = pc.add(_digits(bare, 1, 3, 3600), _digits(bare, 3, 5, 60))
    offset = pc.if_else(pc.starts_with(zone, "-"), pc.negate(offset), offset)
    offset = pc.if_else(pc.match_substring_regex(zone, r"^[+-]"), offset, pa.scalar(0, pa.int64()))
    shift = pc.add(pc.multiply(pc.subtract(seconds, offset), 1_000_000), micro)
    return pc.add(date, shift.cast(pa.duration("us"))).cast(TIME)


def _digits(values: pa.ChunkedArray, start: int, stop: int, unit: int) -> pa.ChunkedArray:
    """Number in a part of each text, times its unit; 0 where there is none."""
    text = pc.utf8_slice_codeunits(values, start, stop)
    number = pc.if_else(pc.match_substring_regex(text, r"^[0-9]+$"), text, pa.scalar("0"))
    return pc.multiply(pc.fill_null(number, "0").cast(pa.int64()), unit)
