package arm64

// Preprocess is the files of package preprocess by name, as made by command.
func Preprocess(command string) map[string]string {
	return map[string]string{
		"colour_arm64.s":    newGen(command).colours(),
		"triangle_arm64.s":  upsampling(newGen(command)),
		"resample_arm64.s":  newGen(command, "go_asm.h").resampling(),
		"thumbnail_arm64.s": newGen(command).thumbnails(),
	}
}

// Baseline is those of package baseline.
func Baseline(command string) map[string]string {
	return map[string]string{"inverse_arm64.s": newGen(command).inverses()}
}

func upsampling(g gen) string {
	g.triangle()
	return g.String()
}
