/* Calls one function of an object file on arrays from standard input, and writes the arrays as they then are.

   POINTERS: `void *, void *, ...`; ARRAYS: `a[0], a[1], ...`; COUNTS and NUMBERS likewise, of int64_t and n[i];
   FUNCTION: its name. Input: the counts, as 64-bit integers; then for each array its bytes, a 64-bit integer, and
   itself. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void FUNCTION(POINTERS, COUNTS);

static void take(void *to, size_t size) {
    if (fread(to, 1, size, stdin) != size) exit(2);
}

int main(void) {
    int64_t n[HOW_MANY_NUMBERS], size[HOW_MANY_ARRAYS];
    void *a[HOW_MANY_ARRAYS];
    take(n, sizeof n);
    for (int i = 0; i < HOW_MANY_ARRAYS; i++) {
        take(&size[i], sizeof size[i]);
        a[i] = aligned_alloc(64, (size[i] + 63) / 64 * 64);
        if (a[i] == NULL) return 3;
        take(a[i], size[i]);
    }
    FUNCTION(ARRAYS, NUMBERS);
    for (int i = 0; i < HOW_MANY_ARRAYS; i++)
        if (fwrite(a[i], 1, size[i], stdout) != (size_t)size[i]) return 4;
    return 0;
}
