/* The limit: streaming Lloyd by hand, as many runs at once as a vector register holds, a register for each number.
 *
 * Compiled by limit.py with -O3 -march=native and K, D as constants. A group is WIDTH runs. Arrays, in vectors:
 * words[group][4][LANES], centres[group][K][D], means[group][K][D], steps[group][K - 1] (cumulated weights in units of
 * 2^-31), scale[group], rate[group]. Bits, labels and normals are those of jgmm/lanes.py; a sample's lanes are one for
 * the label, then the first words of all pairs, then the second ones.
 *
 * A block of samples is drawn a pair of coordinates at a time (the pair's words then stay in registers), and consumed.
 */
#include <immintrin.h>
#include <pthread.h>
#include <stdint.h>

#define HALF ((D + 1) / 2)
#define LANES (1 + 2 * HALF)
#define BLOCK 16
#define TOGETHER (K % 5 == 0 ? 5 : K % 4 == 0 ? 4 : K % 2 == 0 ? 2 : 1) /* sums that are under way at once */

#if defined(__AVX512F__)
#define WIDTH 16
#elif defined(__AVX__)
#define WIDTH 8
#else
#define WIDTH 4
#endif

typedef float vf __attribute__((vector_size(4 * WIDTH)));
typedef int32_t vi __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t vu __attribute__((vector_size(4 * WIDTH)));
#define INLINE static inline __attribute__((always_inline))

/* x where a < b, else y; any where a == b. GCC's own vectors would take three instructions without AVX-512. */
#if defined(__AVX512F__)
INLINE vf where_less(vf a, vf b, vf x, vf y) {
    return (vf)_mm512_mask_blend_ps(_mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ), (__m512)y, (__m512)x);
}
INLINE vf where_below(vi a, vi b, vf x, vf y) {
    return (vf)_mm512_mask_blend_ps(_mm512_cmplt_epi32_mask((__m512i)a, (__m512i)b), (__m512)y, (__m512)x);
}
INLINE int any_equal(vi a, vi b) { return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b) != 0; }
INLINE vf root(vf x) { return (vf)_mm512_sqrt_ps((__m512)x); }
INLINE vf positive(vf x) { return (vf)_mm512_max_ps((__m512)x, _mm512_setzero_ps()); }
#elif defined(__AVX2__)
INLINE vf where_less(vf a, vf b, vf x, vf y) {
    return (vf)_mm256_blendv_ps((__m256)y, (__m256)x, _mm256_cmp_ps((__m256)a, (__m256)b, _CMP_LT_OQ));
}
INLINE vf where_below(vi a, vi b, vf x, vf y) { return (vf)_mm256_blendv_ps((__m256)y, (__m256)x, (__m256)(a < b)); }
INLINE int any_equal(vi a, vi b) { return _mm256_movemask_ps((__m256)(a == b)) != 0; }
INLINE vf root(vf x) { return (vf)_mm256_sqrt_ps((__m256)x); }
INLINE vf positive(vf x) { return (vf)_mm256_max_ps((__m256)x, _mm256_setzero_ps()); }
#else
INLINE vf choose(vi hit, vf x, vf y) { return (vf)((hit & (vi)x) | (~hit & (vi)y)); }
INLINE vf where_less(vf a, vf b, vf x, vf y) { return choose(a < b, x, y); }
INLINE vf where_below(vi a, vi b, vf x, vf y) { return choose(a < b, x, y); }
INLINE int any_equal(vi a, vi b) {
    vi hit = a == b;
    int any = 0;
    for (int l = 0; l < WIDTH; l++) any |= hit[l];
    return any;
}
INLINE vf root(vf x) {
    for (int l = 0; l < WIDTH; l++) x[l] = __builtin_sqrtf(x[l]);
    return x;
}
INLINE vf positive(vf x) { return choose(x > 0, x, (vf){0}); }
#endif

INLINE vu rotate(vu x, int by) { return (x << by) | (x >> (32 - by)); }

INLINE vu next_bits(vu *s0, vu *s1, vu *s2, vu *s3) {
    vu bits = rotate(*s0 + *s3, 7) + *s0, shifted = *s1 << 9;
    *s2 ^= *s0, *s3 ^= *s1;
    *s1 ^= *s2, *s0 ^= *s3;
    *s2 ^= shifted, *s3 = rotate(*s3, 11);
    return bits;
}

INLINE void normal_pair(vu a, vu b, vf *first, vf *second) {
    vi word = (vi)__builtin_convertvector((vi)((a >> 1) | 1), vf) - 0x3F3504F3;
    vf m = (vf)((word & 0x7FFFFF) + 0x3F3504F3) - 1;
    vf p = m * -0.17487891f + 0.287546605f;
    p = p * m - 0.298981905f;
    p = p * m + 0.331213921f;
    p = p * m - 0.399139553f;
    p = p * m + 0.500043094f;
    p = p * m - 0.666683674f;
    p = p * m + 0.999999762f;
    p = p * m - 2.0f;
    vf exponent = __builtin_convertvector((word >> 23) - 31, vf) * -1.3862943611198906f;
    vf radius = root(positive(m * p + exponent));
    vf t = __builtin_convertvector((vi)(b << 2), vf) * 0x1p-32f + 0x1p-33f, y = t * t;
    vf sine = t * (((-0.0046021631f * y + 0.0796802193f) * y - 0.64596349f) * y + 1.57079637f);
    vf cosine = (((0.000903629872f * y - 0.0208600704f) * y + 0.253669202f) * y - 1.23370051f) * y + 1.0f;
    vi odd = (vi)(b << 1); /* the lower bit of the quadrant, as a sign */
    vu high = b & 0x80000000u, low = (b << 1) & 0x80000000u;
    vf zero = {0};
    *first = radius * (vf)((vu)where_below(odd, (vi)zero, sine, cosine) ^ (high ^ low));
    *second = radius * (vf)((vu)where_below(odd, (vi)zero, cosine, sine) ^ high);
}

/* One group's next `here` samples: x[D][BLOCK]. */
INLINE void draw(vu *words, const vf *means, const vi *steps, vf scale, vf x[2 * HALF][BLOCK], int here) {
    vi label[BLOCK];
    vu s0 = words[0], s1 = words[LANES], s2 = words[2 * LANES], s3 = words[3 * LANES];
    for (int t = 0; t < here; t++) label[t] = (vi)(next_bits(&s0, &s1, &s2, &s3) >> 1);
    words[0] = s0, words[LANES] = s1, words[2 * LANES] = s2, words[3 * LANES] = s3;
    for (int j = 0; j < HALF; j++) {
        vu *a = words + 1 + j, *b = a + HALF;
        vu a0 = a[0], a1 = a[LANES], a2 = a[2 * LANES], a3 = a[3 * LANES];
        vu b0 = b[0], b1 = b[LANES], b2 = b[2 * LANES], b3 = b[3 * LANES];
        int other = HALF + j < D ? HALF + j : D - 1;
        for (int t = 0; t < here; t++) {
            vu first_bits = next_bits(&a0, &a1, &a2, &a3), second_bits = next_bits(&b0, &b1, &b2, &b3);
            vf first, second, mean = means[j], next = means[other];
            normal_pair(first_bits, second_bits, &first, &second);
            for (int i = 0; i < K - 1; i++) {
                mean = where_below(label[t], steps[i], mean, means[(i + 1) * D + j]);
                next = where_below(label[t], steps[i], next, means[(i + 1) * D + other]);
            }
            x[j][t] = mean + scale * first;
            x[HALF + j][t] = next + scale * second;
        }
        a[0] = a0, a[LANES] = a1, a[2 * LANES] = a2, a[3 * LANES] = a3;
        b[0] = b0, b[LANES] = b1, b[2 * LANES] = b2, b[3 * LANES] = b3;
    }
}

/* The nearest centre moves; the lowest index wins a tie. */
INLINE void step(vf *centres, vf x[2 * HALF][BLOCK], int t, vf rate) {
    vf best = {0};
    vi winner = {0};
    for (int i = 0; i < K; i += TOGETHER) {
        vf sum[TOGETHER];
        for (int c = 0; c < TOGETHER; c++) sum[c] = (vf){0};
        for (int j = 0; j < D; j++)
            for (int c = 0; c < TOGETHER; c++) {
                vf move = x[j][t] - centres[(i + c) * D + j];
                sum[c] += move * move;
            }
        for (int c = 0; c < TOGETHER; c++) {
            vi index = (vi){0} + (i + c);
            winner = i + c ? (vi)where_less(sum[c], best, (vf)index, (vf)winner) : index;
            best = i + c ? where_less(sum[c], best, sum[c], best) : sum[c];
        }
    }
    for (int i = 0; i < K; i++) {
        vi index = (vi){0} + i;
        if (K > WIDTH / 2 && !any_equal(winner, index)) continue; /* no run of the group moves this centre */
        vf gain = (vf)((winner == index) & (vi)rate);
        for (int j = 0; j < D; j++) centres[i * D + j] += gain * (x[j][t] - centres[i * D + j]);
    }
}

struct share {
    vu *words;
    vf *centres;
    const vf *means, *scale, *rate;
    const vi *steps;
    long groups, n;
};

static void *stream_share(void *given) {
    struct share *s = given;
    for (long g = 0; g < s->groups; g++) {
        vf x[2 * HALF][BLOCK];
        for (long done = 0; done < s->n; done += BLOCK) {
            int here = s->n - done < BLOCK ? (int)(s->n - done) : BLOCK;
            draw(s->words + g * 4 * LANES, s->means + g * K * D, s->steps + g * (K - 1), s->scale[g], x, here);
            for (int t = 0; t < here; t++) step(s->centres + g * K * D, x, t, s->rate[g]);
        }
    }
    return 0;
}

int width(void) { return WIDTH; }

/* n samples of every run, the groups shared out to the threads; 0, or the error of pthread_create. */
int stream(vu *words, vf *centres, const vf *means, const vi *steps, const vf *scale, const vf *rate, long groups,
           long n, int threads) {
    pthread_t id[threads];
    struct share shares[threads];
    for (int i = 0; i < threads; i++) {
        long low = groups * i / threads, high = groups * (i + 1) / threads;
        shares[i] = (struct share){words + low * 4 * LANES, centres + low * K * D,   means + low * K * D, scale + low,
                                   rate + low,              steps + low * (K - 1), high - low,          n};
        int error = pthread_create(id + i, 0, stream_share, shares + i);
        if (error) return error;
    }
    for (int i = 0; i < threads; i++) pthread_join(id[i], 0);
    return 0;
}
