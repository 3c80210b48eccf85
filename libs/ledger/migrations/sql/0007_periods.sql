-- The first day of the period that a moment is in, for an account whose periods begin on the
-- `p_anchor`th of the month (UTC); a month without that day begins on its last. The same rule as
-- libs/common/periods.py.
CREATE FUNCTION period_start_v1(p_anchor integer, p_moment timestamptz) RETURNS date
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    today date := (p_moment AT TIME ZONE 'UTC')::date;
    month date := today - extract(day FROM today)::integer + 1;
    last date := (month + interval '1 month')::date - 1;
    first date := least(month + p_anchor - 1, last);
BEGIN
    IF first <= today THEN
        RETURN first;
    END IF;
    RETURN least((month - interval '1 month')::date + p_anchor - 1, month - 1);
END
$$;
