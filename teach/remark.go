package teach

import "fmt"

// Remark is what a reader of a report should know.
type Remark struct {
	Kind     string  `json:"kind"`               // one of those below
	Label    string  `json:"label,omitempty"`    // of twins and few: of which class
	Share    float64 `json:"share,omitempty"`    // of guess and perhaps_guess: what a guess is right in, 0 to 1
	Pictures int     `json:"pictures,omitempty"` // of few: how many there are
	Want     int     `json:"want,omitempty"`     // of twins and few: how many scenes or pictures are wanted
}

// The kinds of remarks.
const (
	Guess        = "guess"         // no better than a guess
	PerhapsGuess = "perhaps_guess" // not known to be better than one
	Twins        = "twins"         // pictures of a class are judged by their twins
	Few          = "few"           // a class has few pictures
)

// String is the remark in English.
func (r Remark) String() string {
	switch r.Kind {
	case Guess:
		return fmt.Sprintf("no better than a guess, which is right in %.1f %%: to this model the classes look alike", 100*r.Share)
	case PerhapsGuess:
		return fmt.Sprintf("perhaps no better than a guess, which is right in %.1f %%: too few scenes to tell, or the classes look alike to this model", 100*r.Share)
	case Twins:
		return fmt.Sprintf("%s: its pictures are of fewer than %d scenes, so that some are judged by their twins: the accuracy is too good; take some at other times", r.Label, r.Want)
	}
	return fmt.Sprintf("%s: %d pictures are few: want %d or more", r.Label, r.Pictures, r.Want)
}

// remarks are those on a report; crowded are the classes that had too few scenes for the folds.
func (t *trial) remarks(r *Report, crowded []int) []Remark {
	list := []Remark{}
	switch guess := r.guess(); {
	case r.Accuracy <= guess:
		list = append(list, Remark{Kind: Guess, Share: guess})
	case r.CI95.Lo <= guess:
		list = append(list, Remark{Kind: PerhapsGuess, Share: guess})
	}
	for _, class := range crowded {
		list = append(list, Remark{Kind: Twins, Label: t.s.Labels[class], Want: t.folds})
	}
	for _, c := range r.Classes {
		if c.Pictures < fewPictures {
			list = append(list, Remark{Kind: Few, Label: c.Label, Pictures: c.Pictures, Want: fewPictures})
		}
	}
	return list
}
