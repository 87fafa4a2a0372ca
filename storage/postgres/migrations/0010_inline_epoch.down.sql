CREATE OR REPLACE FUNCTION rowcall.epoch_us(t timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT (date_part('epoch', t) * 1000000)::bigint $$;
