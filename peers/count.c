/* A plugin for qemu-user (Debian's 7.2: API version 1) that counts executed AArch64 instructions by kind, and prints
   them as JSON to stderr at the end. Arguments are ranges of addresses that are left out: from-to, hexadecimal.
   Build: cc -O2 -shared -fPIC -o count.so count.c. Counts of one thread are exact. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;
int qemu_plugin_version = 1;
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t, void (*)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
void qemu_plugin_register_atexit_cb(uint64_t, void (*)(uint64_t, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);

/* Kinds by the instruction word, the first that fits. */
static struct { const char *name; uint32_t mask, value; } kinds[] = {
    {"fmla", 0xBFA0FC00, 0x0E20CC00}, {"fmla", 0xBF80F400, 0x0F801000}, /* of vectors, by element */
    {"half", 0xBFE0FC00, 0x0E400C00}, {"half", 0xBFC0F400, 0x0F001000}, /* FMLA of halves */
    {"half", 0xBFC0F400, 0x0F800000}, {"half", 0xBFC0F400, 0x2F808000}, /* FMLAL, FMLAL2 by element */
    {"bfmmla", 0xFFE0FC00, 0x6E40EC00},
    {"sdot", 0xBFE0FC00, 0x0E809400}, {"sdot", 0xBFC0F400, 0x0F80E000},
    {"smmla", 0xFFE0FC00, 0x4E80A400},
    {"smlal", 0xBF20DC00, 0x0E208000}, {"smlal", 0xBF20FC00, 0x0E20C000}, /* SMLAL and SMLSL, SMULL */
    {"memory", 0x0A000000, 0x08000000}, {"vector", 0x0E000000, 0x0E000000}, {"other", 0, 0},
};
enum { KINDS = sizeof kinds / sizeof *kinds, RANGES = 64 };
static uint64_t counts[KINDS], from[RANGES], to[RANGES];
static int ranges;

static int kind(uint32_t word) {
    int k = 0;
    while ((word & kinds[k].mask) != kinds[k].value) k++;
    return k;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb) {
    uint64_t n[KINDS] = {0}, at = qemu_plugin_tb_vaddr(tb);
    for (int i = 0; i < ranges; i++) if (at >= from[i] && at < to[i]) return;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i)), 4);
        n[kind(word)]++;
    }
    for (int k = 0; k < KINDS; k++) if (n[k]) qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &counts[k], n[k]);
}

static void done(uint64_t id, void *p) {
    char text[2048];
    int length = sprintf(text, "{");
    uint64_t all = 0;
    for (int k = 0; k < KINDS; k++) {
        if (k + 1 < KINDS && !strcmp(kinds[k].name, kinds[k + 1].name)) {
            counts[k + 1] += counts[k];
            continue;
        }
        length += sprintf(text + length, "\"%s\":%" PRIu64 ",", kinds[k].name, counts[k]);
        all += counts[k];
    }
    length += sprintf(text + length, "\"all\":%" PRIu64 "}\n", all);
    if (write(2, text, length) < 0) return;
}

int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv) {
    for (; ranges < argc; ranges++) {
        if (ranges == RANGES || sscanf(argv[ranges], "%" SCNx64 "-%" SCNx64, &from[ranges], &to[ranges]) != 2) return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, done, 0);
    return 0;
}
