-- The bucket of CORRAL_IMAGE_TARGET=supabase (CORRAL_IMAGE_BUCKET). Public, since results are public URLs; only the
-- service key writes. Identity documents never go here.
insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
values ('images', 'images', true, 20971520, array['image/webp', 'image/jpeg', 'image/png', 'image/avif'])
on conflict (id) do nothing;
