//! Powers modulo an odd number, for RSA verification. Numbers are little-endian 64-bit limbs.
//!
//! All inputs are public, so branches and timing may depend on them.

/// An odd modulus and what Montgomery multiplication needs to know of it.
#[derive(Clone)]
pub(super) struct Modulus {
    n: Vec<u64>,
    /// -n⁻¹ mod 2^64.
    n0: u64,
    /// R² mod n, where R = 2^(64 · limbs): brings a number into Montgomery form.
    r2: Vec<u64>,
}

impl Modulus {
    /// `None` if the number is even, zero or one.
    pub(super) fn from_be_bytes(bytes: &[u8]) -> Option<Modulus> {
        let n = to_limbs(bytes, bytes.len().div_ceil(8));
        let lowest = *n.first()?;
        if lowest % 2 == 0 || (lowest == 1 && n.iter().skip(1).all(|limb| *limb == 0)) {
            return None;
        }
        // Newton: each step doubles the number of right bits of n⁻¹, from 3 (n · n = 1 mod 8) to 96.
        let mut inverse = lowest;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(lowest.wrapping_mul(inverse)));
        }
        let mut r2 = vec![0; n.len()];
        if let Some(limb) = r2.first_mut() {
            *limb = 1;
        }
        for _ in 0..128 * n.len() {
            double(&mut r2, &n);
        }
        Some(Modulus { n, n0: inverse.wrapping_neg(), r2 })
    }

    /// `base` to the power of `exponent` (at least 1), as `length` big-endian bytes. `None` if `base`
    /// is not smaller than the modulus: a residue has one right spelling.
    pub(super) fn power(&self, base: &[u8], exponent: u64, length: usize) -> Option<Vec<u8>> {
        if base.len().div_ceil(8) > self.n.len() {
            return None;
        }
        let base = to_limbs(base, self.n.len());
        if !less(&base, &self.n) {
            return None;
        }
        let mut result = vec![0; self.n.len()];
        match <&[u64; 8]>::try_from(self.n.as_slice()) {
            // 512 bits are what OSS uses: where the width is known the loops are unrolled.
            Ok(n) => {
                let (base, r2): (&[u64; 8], &[u64; 8]) = (base.first_chunk()?, self.r2.first_chunk()?);
                let mut scratch = [[0; 8]; 3];
                let [form, value, next] = scratch.each_mut().map(|limbs| limbs.as_mut_slice());
                power(base, r2, n, self.n0, exponent, form, value, next);
                result.copy_from_slice(next);
            }
            Err(_) => {
                let (mut form, mut value) = (result.clone(), result.clone());
                power(&base, &self.r2, &self.n, self.n0, exponent, &mut form, &mut value, &mut result);
            }
        }
        let bytes: Vec<u8> = result.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
        Some(bytes.get(bytes.len().checked_sub(length)?..)?.to_vec())
    }
}

/// Left-to-right square and multiply; the result is left in `next`.
#[expect(clippy::too_many_arguments, reason = "three of them are scratch space, fixed or on the heap")]
#[inline(always)]
fn power(
    base: &[u64],
    r2: &[u64],
    n: &[u64],
    n0: u64,
    exponent: u64,
    form: &mut [u64],
    value: &mut [u64],
    next: &mut [u64],
) {
    multiply(base, r2, n, n0, form);
    value.copy_from_slice(form);
    for bit in (0..exponent.ilog2()).rev() {
        multiply(value, value, n, n0, next);
        value.copy_from_slice(next);
        if exponent >> bit & 1 == 1 {
            multiply(value, form, n, n0, next);
            value.copy_from_slice(next);
        }
    }
    // Out of Montgomery form: times one.
    form.fill(0);
    form[0] = 1;
    multiply(value, form, n, n0, next);
}

/// Montgomery's product `a · b · R⁻¹ mod n`, operand scanning with the reduction interleaved (CIOS).
/// All slices have the length of `n`, which is not zero; `a` and `b` are smaller than `n`.
#[inline(always)]
fn multiply(a: &[u64], b: &[u64], n: &[u64], n0: u64, out: &mut [u64]) {
    let length = n.len();
    let (a, b, out) = (&a[..length], &b[..length], &mut out[..length]);
    out.fill(0);
    let mut high = 0u64;
    for &digit in b {
        let mut carry = 0;
        for (limb, &factor) in out.iter_mut().zip(a) {
            (*limb, carry) = multiply_add(factor, digit, *limb, carry);
        }
        let (top, overflow) = high.overflowing_add(carry);
        // m makes the lowest limb of out + m · n zero, so that the sum can be shifted by one limb.
        let m = out[0].wrapping_mul(n0);
        (_, carry) = multiply_add(m, n[0], out[0], 0);
        for index in 1..length {
            (out[index - 1], carry) = multiply_add(m, n[index], out[index], carry);
        }
        let (top, second) = top.overflowing_add(carry);
        out[length - 1] = top;
        high = u64::from(overflow) + u64::from(second);
    }
    if high != 0 || !less(out, n) {
        subtract(out, n);
    }
}

/// `a · b + c + d`, which always fits, as low and high limb.
#[inline(always)]
fn multiply_add(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    let wide = u128::from(a) * u128::from(b) + u128::from(c) + u128::from(d);
    (wide as u64, (wide >> 64) as u64)
}

/// `number = 2 · number mod n`.
fn double(number: &mut [u64], n: &[u64]) {
    let mut carry = 0;
    for limb in number.iter_mut() {
        (*limb, carry) = (*limb << 1 | carry, *limb >> 63);
    }
    if carry != 0 || !less(number, n) {
        subtract(number, n);
    }
}

/// `a = a - b`, modulo 2^(64 · limbs).
#[inline(always)]
fn subtract(a: &mut [u64], b: &[u64]) {
    let mut borrow = false;
    for (limb, &other) in a.iter_mut().zip(b) {
        let (difference, first) = limb.overflowing_sub(other);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        *limb = difference;
        borrow = first || second;
    }
}

/// Whether `a < b`, both of the same length.
#[inline(always)]
fn less(a: &[u64], b: &[u64]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

fn to_limbs(bytes: &[u8], length: usize) -> Vec<u64> {
    let mut limbs: Vec<u64> = bytes
        .rchunks(8)
        .map(|chunk| chunk.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte)))
        .collect();
    limbs.resize(length, 0);
    limbs
}
