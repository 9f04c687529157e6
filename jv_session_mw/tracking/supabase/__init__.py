"""Chat sessions in a Supabase project, through the functions of the migrations."""
