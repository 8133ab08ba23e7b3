//! A table of sums that a real Redis gave, and random numbers against a model in exact fractions.

use num_bigint::{BigInt, BigUint, Sign};
use proptest::prelude::*;

use super::*;

fn text(value: LongDouble) -> String {
    let mut text = Vec::new();
    value.append_to(&mut text);
    String::from_utf8(text).unwrap()
}

/// What INCRBYFLOAT answers to an increment of a stored value.
fn increment(stored: &str, by: &str) -> Result<String, &'static str> {
    let read = |text: &str| LongDouble::parse(text.as_bytes()).ok_or("not a float");
    let sum = read(stored)? + read(by)?;
    if sum.is_finite() { Ok(text(sum)) } else { Err("NaN or Infinity") }
}

#[test]
fn sums_are_those_of_redis() {
    let table = [
        ("0", "0", "0"),
        ("0.1", "0.2", "0.3"),
        ("10.5", "0.1", "10.6"),
        ("5.0e3", "2.0e2", "5200"),
        ("3", "-3", "0"),
        ("-0", "-0", "0"),
        ("1", "-1.0", "0"),
        // The last of 17 places, and what rounds to it.
        ("0", "0.00000000000000001", "0.00000000000000001"),
        ("0", "0.000000000000000005", "0"),
        ("0", "-0.000000000000000005", "0"),
        ("0", "0.0000000000000000050000000001", "0.00000000000000001"),
        ("0", "-0.0000000000000000050000000001", "-0.00000000000000001"),
        ("1e-17", "0", "0.00000000000000001"),
        ("1e-18", "0", "0"),
        // Exact halves of the last place go to the even neighbour: 2^-18 ends in ...625, 3 * 2^-18 in ...875.
        ("0", "0x1p-18", "0.00000381469726562"),
        ("0", "-0x1p-18", "-0.00000381469726562"),
        ("0", "0x3p-18", "0.00001144409179688"),
        ("0.99999999999999999", "0", "0.99999999999999999"),
        ("0.9999999999999999949", "0", "0.99999999999999999"),
        ("0.999999999999999999", "0", "1"),
        ("1.999999999999999999", "0", "2"),
        ("3.14159265358979323846", "0", "3.14159265358979324"),
        ("2.71828182845904523536", "0", "2.71828182845904524"),
        // 64 bits of significand, where a double has 53.
        ("5000000000000000000", "0.5", "5000000000000000000.5"),
        ("9223372036854775807", "0.5", "9223372036854775807.5"),
        ("9223372036854775807", "-0.5", "9223372036854775806.5"),
        ("9223372036854775807", "1", "9223372036854775808"),
        ("-9223372036854775808", "-1", "-9223372036854775809"),
        ("18446744073709551615", "0", "18446744073709551615"),
        ("18446744073709551615", "1", "18446744073709551616"),
        // Halves to even, in reading and in adding.
        ("9223372036854775808.5", "0", "9223372036854775808"),
        ("9223372036854775809.5", "0", "9223372036854775810"),
        ("18446744073709551617", "0", "18446744073709551616"),
        ("18446744073709551619", "0", "18446744073709551620"),
        ("18446744073709551617.0000000000000000001", "0", "18446744073709551618"),
        ("36893488147419103234", "0", "36893488147419103232"),
        ("18446744073709551616", "1", "18446744073709551616"),
        ("18446744073709551618", "1", "18446744073709551620"),
        ("18446744073709551616", "3", "18446744073709551620"),
        // Large values show all the digits that they are.
        ("1e20", "0", "100000000000000000000"),
        ("1e27", "1", "1000000000000000000000000000"),
        ("1e28", "0", "9999999999999999999731564544"),
        ("1e30", "0.1", "1000000000000000000024696061952"),
        ("1.1e4932", "-1.1e4932", "0"),
        // Small ones show nothing.
        ("1e-4950", "0", "0"),
        ("3.6451995318824746025e-4951", "0", "0"),
        ("1.9e-4951", "0", "0"),
        ("0e-99999", "0", "0"),
        ("0e99999999999999999999", "0", "0"),
        // Spellings.
        ("0x10", "0x0.8", "16.5"),
        ("0X1.8P3", "0", "12"),
        (".5", "5.", "5.5"),
        ("+1", "+1", "2"),
        ("007", "0", "7"),
        ("1E2", "1e+2", "200"),
    ];
    for (stored, by, expected) in table {
        assert_eq!(increment(stored, by).as_deref(), Ok(expected), "{stored} + {by}");
    }
}

#[test]
fn sums_that_are_not_finite_are_refused() {
    for (stored, by) in [
        ("inf", "1"),
        ("1", "INF"),
        ("-inf", "1"),
        ("inf", "-inf"),
        ("1", "infinity"),
        ("1e4932", "1e4932"),
        ("0x1p16383", "0x1p16383"),
        ("1.189731495357231765e4932", "0x1p16319"),
    ] {
        assert_eq!(increment(stored, by), Err("NaN or Infinity"), "{stored} + {by}");
    }
    assert_eq!(text(LongDouble::parse(b"-inf").unwrap()), "-inf");
}

#[test]
fn what_is_no_float_or_out_of_range_is_refused() {
    for refused in [
        "",
        " ",
        " 1",
        "1 ",
        "\t1",
        "1\0",
        "abc",
        "1a",
        "1.1.1",
        "--1",
        "+",
        ".",
        "e5",
        "1e",
        "1e+",
        "0x",
        "0x.",
        "0x1p",
        "1p3",
        "nan",
        "-NAN",
        "nan(1)",
        "infinit",
        "1e4933",
        "-1e4933",
        "1e400000",
        "1.18973149535723176508e4932",
        "1.189731495357231766e4932",
        "0x1p16384",
        "1.8e-4951",
        "1e-4951",
        "1e-5000",
        "1e-99999999999999999999",
        "0x1p-16446",
    ] {
        assert_eq!(LongDouble::parse(refused.as_bytes()), None, "{refused:?}");
    }
}

#[test]
fn the_limits_of_the_range_are_read() {
    let largest = LongDouble::parse(b"0x1.fffffffffffffffep16383").unwrap();
    assert_eq!(LongDouble::parse(b"1.18973149535723176502e4932"), Some(largest));
    assert_eq!(LongDouble::parse(b"1.18973149535723176505e4932"), Some(largest));
    assert_eq!(text(largest).len(), 4933);
    let smallest = LongDouble::parse(b"0x1p-16445").unwrap();
    assert_eq!(LongDouble::parse(b"1.9e-4951"), Some(smallest));
    assert_eq!(LongDouble::parse(b"3.6451995318824746025e-4951"), Some(smallest));
    assert_eq!(smallest + smallest, LongDouble::parse(b"0x1p-16444").unwrap());
}

#[test]
fn a_text_is_read_up_to_5119_bytes() {
    let one = LongDouble::from(1);
    assert_eq!(LongDouble::parse(format!("1.{}", "0".repeat(5117)).as_bytes()), Some(one));
    assert_eq!(LongDouble::parse(format!("1.{}", "0".repeat(5118)).as_bytes()), None);
}

#[test]
fn every_i64_is_exact() {
    for value in [0, 1, -1, i64::MAX, i64::MIN, 1 << 53, (1 << 53) + 1] {
        assert_eq!(text(LongDouble::from(value)), value.to_string());
        assert_eq!(LongDouble::parse(value.to_string().as_bytes()), Some(LongDouble::from(value)));
    }
    assert_eq!(LongDouble::from(0), LongDouble::ZERO);
}

/// The model: a value as a whole number of smallest steps, 2^-16445 each.
fn steps(value: LongDouble) -> BigInt {
    let Value::Finite { negative, significand, exponent } = value.0 else { panic!("{value:?} is not finite") };
    let magnitude = BigUint::from(significand) << (exponent - EXPONENT_MIN);
    BigInt::from_biguint(if negative { Sign::Minus } else { Sign::Plus }, magnitude)
}

/// Whether `value` is the number nearest to `numerator / denominator` steps, a half going to the even significand.
fn is_nearest(value: LongDouble, numerator: &BigInt, denominator: &BigInt) -> bool {
    let Value::Finite { significand, exponent, .. } = value.0 else {
        return false;
    };
    assert!(exponent == EXPONENT_MIN || significand >> 63 == 1, "{value:?} is normal");
    let error = (numerator - steps(value) * denominator).magnitude() << 1_u32;
    let gap = denominator.magnitude() << (exponent - EXPONENT_MIN);
    // Under a power of two the numbers lie twice as close.
    let below_power = significand == 1 << 63 && numerator.magnitude() < (steps(value) * denominator).magnitude();
    let gap = if below_power && exponent > EXPONENT_MIN { gap >> 1_u32 } else { gap };
    error < gap || (error == gap && significand & 1 == 0)
}

/// Numbers of all sizes, with significands that make ties and carries likely.
fn numbers() -> impl Strategy<Value = LongDouble> {
    let significand = prop_oneof![
        any::<u64>(),
        (0_u32..64).prop_map(|bit| 1 << bit),
        (0_u32..64).prop_map(|bit| u64::MAX << bit),
        (0_u32..64).prop_map(|bit| u64::MAX >> bit),
        (0_u32..64).prop_map(|bit| 1 << 63 | 1 << bit),
    ];
    let exponent = prop_oneof![-140_i64..70, EXPONENT_MIN..EXPONENT_MIN + 70, EXPONENT_MIN..16300];
    (any::<bool>(), significand, exponent).prop_map(|(negative, significand, exponent)| {
        LongDouble::rounded(negative, Binary::exact(u128::from(significand), exponent))
    })
}

proptest! {
    #[test]
    fn a_sum_is_the_number_nearest_to_the_exact_sum(a in numbers(), b in numbers()) {
        prop_assert!(is_nearest(a + b, &(steps(a) + steps(b)), &BigInt::from(1)), "{a:?} + {b:?} = {:?}", a + b);
        prop_assert_eq!(a + b, b + a);
    }

    #[test]
    fn a_sum_of_close_numbers_is_the_nearest_too(a in numbers(), distance in -70_i64..70, other: u64, negative: bool) {
        let Value::Finite { exponent, .. } = a.0 else { unreachable!() };
        let exponent = (exponent + distance).clamp(EXPONENT_MIN, EXPONENT_MAX - 1);
        let b = LongDouble::rounded(negative, Binary::exact(u128::from(other), exponent));
        prop_assert!(is_nearest(a + b, &(steps(a) + steps(b)), &BigInt::from(1)), "{a:?} + {b:?} = {:?}", a + b);
    }

    #[test]
    fn a_decimal_is_read_as_the_number_nearest_to_it(
        digits in prop_oneof!["[1-9][0-9]{0,18}", "[1-9][0-9]{0,40}", "[1-9][0-9]{0,300}", "[1-9]0{0,20}[1-9]"],
        power in prop_oneof![-25_i32..25, -400_i32..400, -4940_i32..4500],
    ) {
        let value = LongDouble::parse(format!("{digits}e{power}").as_bytes()).unwrap();
        let ten = BigInt::from(10).pow(power.unsigned_abs());
        let numerator = digits.parse::<BigInt>().unwrap() << -EXPONENT_MIN;
        let (numerator, denominator) = if power < 0 { (numerator, ten) } else { (numerator * ten, BigInt::from(1)) };
        prop_assert!(is_nearest(value, &numerator, &denominator), "{value:?}");
    }

    #[test]
    fn a_middle_between_two_numbers_goes_to_the_even_one(significand in 1_u64 << 63.., exponent in -60_i64..60, up: bool) {
        // significand + 1/2, written exactly in decimal: (2 significand + 1) * 5^k / 10^k for the negative powers.
        let odd = BigUint::from(significand) * 2_u32 + 1_u32;
        let power = exponent - 1;
        let k = power.min(0).unsigned_abs() as u32;
        let digits = (odd * BigUint::from(5_u32).pow(k)) << power.max(0);
        let mut written = digits.to_string();
        written.insert_str(0, &"0".repeat(k as usize));
        written.insert(written.len() - k as usize, '.');
        if up {
            written.push_str("0000000000000000000000000000000000001");
        }
        let expected = u128::from(significand) + u128::from(up || significand & 1 == 1);
        let expected = LongDouble::rounded(false, Binary::exact(expected, exponent));
        prop_assert_eq!(LongDouble::parse(written.as_bytes()), Some(expected));
    }

    #[test]
    fn a_number_is_written_as_its_exact_value_rounded_to_17_places(value in numbers()) {
        let scaled = steps(value).magnitude() * BigUint::from(10_u32).pow(PLACES as u32);
        let shift = -EXPONENT_MIN;
        let (mut units, rest) = (&scaled >> shift, &scaled % (BigUint::from(1_u32) << shift));
        let half = BigUint::from(1_u32) << (shift - 1);
        if rest > half || (rest == half && units.bit(0)) {
            units += 1_u32;
        }
        let digits = format!("{units:0>18}");
        let (whole, fraction) = digits.split_at(digits.len() - PLACES);
        let expected = format!("{whole}.{fraction}");
        let expected = expected.trim_end_matches('0').trim_end_matches('.');
        let sign = if steps(value).sign() == Sign::Minus && expected != "0" { "-" } else { "" };
        prop_assert_eq!(text(value), format!("{sign}{expected}"));
    }

    #[test]
    fn what_is_written_reads_back_as_what_is_written_again(value in numbers()) {
        let written = text(value);
        let again = LongDouble::parse(written.as_bytes()).unwrap();
        prop_assert_eq!(text(again), written);
    }

    #[test]
    fn hexadecimal_is_read_exactly(value in numbers()) {
        let Value::Finite { negative, significand, exponent } = value.0 else { unreachable!() };
        let sign = if negative { "-" } else { "" };
        prop_assert_eq!(LongDouble::parse(format!("{sign}0x{significand:x}p{exponent}").as_bytes()), Some(value));
    }

    #[test]
    fn any_bytes_are_read_or_refused(text: Vec<u8>) {
        if let Some(value) = LongDouble::parse(&text) {
            let mut written = Vec::new();
            value.append_to(&mut written);
        }
    }
}
