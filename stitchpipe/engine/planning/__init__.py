"""What a comparison reads, forms and holds, before anything is opened: integers in, a plan out."""
