// Numbers as people read them: one format for the whole page.

export const NONE = "–";

/** A number with so many decimals, with a real minus sign. */
export const fixed = (value, decimals) => {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE;
  const text = decimals >= 0 ? value.toFixed(decimals) : String(Math.round(value * 10 ** decimals) / 10 ** decimals);
  // What rounds to zero has no sign.
  return /^-0(\.0*)?$/.test(text) ? text.slice(1) : text.replace("-", "−");
};

/** Four significant digits of a number whose size is not known before. */
export const short = (value) => {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(2).replaceAll("-", "−").replace("+", "");
  return (Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)))).replace("-", "−");
};

/** A limit, rounded away from its number: an interval is never shown narrower than it is. */
export const outward = (value, decimals, upwards) => {
  const unit = 10 ** decimals;
  const whole = upwards ? Math.ceil(value * unit - 1e-6) : Math.floor(value * unit + 1e-6);
  return fixed(whole / unit, decimals);
};

export const share = (value) => (value === null || value === undefined ? NONE : `${(100 * value).toFixed(1)} %`);

/** A count with thin spaces between thousands. */
export const count = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
